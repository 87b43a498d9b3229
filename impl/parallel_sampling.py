"""`n > 1`: one prompt, several requests."""
from dataclasses import replace

from impl.request import Request
from impl.structured_output import Grammar


def fan_out(request: Request) -> list[Request]:
    """The `n` children of a request, or the request itself if `n` is 1.

    The scheduler knows nothing of the family: it is the prefix cache that lets
    the children share the prompt's full blocks. A seed counts up from child to child,
    or they would all say the same.
    Mirrors `v1/engine/parallel_sampling.py::ParentRequest.get_child_info`.
    """
    params = request.sampling_params
    if params.n == 1:
        return [request]
    seeds = [None if params.seed is None else params.seed + index for index in range(params.n)]
    return [Request(f"{index}_{request.request_id}", request.prompt_token_ids, replace(params, n=1, seed=seeds[index]),
                    priority=request.priority, arrival_time=request.arrival_time, cache_salt=request.cache_salt,
                    grammar=Grammar() if request.grammar else None)
            for index in range(params.n)]
