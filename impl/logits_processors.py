"""What happens to logits before a token is chosen: the steps of `v1/sample/sampler.py::Sampler`, in its order.

`restrict` and `penalize` can change which token is best, so greedy requests get
them too; each takes one row and does nothing for a request that asks for nothing.
`thin_out` only leaves out unlikely tokens, and takes all random rows at once. What
a row gets never depends on the others.
"""
from collections.abc import Callable

import torch

from impl.request import Request
from impl.sampling_params import SamplingParams

NEVER = float("-inf")


def reshapes(params: SamplingParams) -> bool:
    """Whether `restrict` or `penalize` has something to do for a request with these parameters."""
    return bool(params.allowed_token_ids is not None or params.bad_words_token_ids or params.min_tokens or params.logit_bias
                or params.repetition_penalty != 1.0 or params.frequency_penalty or params.presence_penalty)


def restrict(logits: torch.Tensor, request: Request) -> None:
    """Forbid, in place, the tokens that must not come; move those that shall come more or less often. `logits`: float32 [vocabulary].

    Mirrors `v1/sample/ops/bad_words.py::apply_bad_words` and `v1/sample/logits_processor/builtin.py`.
    """
    params, output = request.sampling_params, request.token_ids[request.num_prompt_tokens:]
    if params.allowed_token_ids is not None:
        allowed = logits[list(params.allowed_token_ids)]
        logits.fill_(NEVER)
        logits[list(params.allowed_token_ids)] = allowed
    for *beginning, last in params.bad_words_token_ids:
        if not beginning or output[-len(beginning):] == beginning:
            logits[last] = NEVER
    if len(output) < params.min_tokens:
        logits[list(params.all_stop_token_ids)] = NEVER
    if params.logit_bias:
        logits[list(params.logit_bias)] += torch.tensor(list(params.logit_bias.values()), dtype=torch.float32, device=logits.device)


def penalize(logits: torch.Tensor, request: Request) -> None:
    """Make, in place, less likely what was said before. Repetition counts the prompt too, the other two the output alone.

    Mirrors `model_executor/layers/utils.py::apply_penalties`.
    """
    params, output = request.sampling_params, request.token_ids[request.num_prompt_tokens:]
    if params.repetition_penalty != 1.0:
        seen = torch.tensor(sorted(set(request.token_ids)), device=logits.device)
        logits[seen] = torch.where(logits[seen] > 0, logits[seen] / params.repetition_penalty, logits[seen] * params.repetition_penalty)
    if output and (params.frequency_penalty or params.presence_penalty):
        token_ids, counts = torch.tensor(output, device=logits.device).unique(return_counts=True)
        logits[token_ids] -= params.frequency_penalty * counts
        logits[token_ids] -= params.presence_penalty


def thin_out(logits: torch.Tensor, all_params: list[SamplingParams]) -> torch.Tensor:
    """Divide by the temperature, then leave out (-inf) by min-p, top-k and top-p, in this order. `logits`: float32 [requests, vocabulary].

    Mirrors `Sampler.sample`, `builtin.py::MinPLogitsProcessor` and `v1/sample/ops/topk_topp_sampler.py::apply_top_k_top_p_pytorch`.
    """
    def column(name: str, rows: list[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.tensor([[getattr(all_params[row], name)] for row in rows], dtype=dtype, device=logits.device)

    def change(rows: list[int], step: Callable[..., torch.Tensor], *names: str) -> None:
        if rows:
            logits[rows] = step(logits[rows], *(column(name, rows) for name in names))

    everybody = range(len(all_params))
    vocabulary = logits.shape[-1]
    logits = logits / column("temperature", everybody)
    top_p = [row for row in everybody if all_params[row].top_p < 1]
    top_k = [row for row in everybody if 0 < all_params[row].top_k < vocabulary]
    change([row for row in everybody if all_params[row].min_p], keep_min_p, "min_p")
    change(top_k, keep_top_k, "top_k")
    change(top_p, keep_top_p, "top_p")
    return logits


def keep_min_p(logits: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """Leave out what is less probable than `min_p` [rows, 1] times the most probable."""
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < probabilities.amax(-1, keepdim=True) * min_p, NEVER)


def keep_top_k(logits: torch.Tensor, top_k: torch.Tensor) -> torch.Tensor:
    """Leave out what is below the `top_k`-th best [rows, 1]; whoever ties with it stays."""
    best = logits.topk(int(top_k.max())).values
    return logits.masked_fill(logits < best.gather(1, top_k.long() - 1), NEVER)


def keep_top_p(logits: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Leave out the least probable as long as together they have no more than 1 - `top_p` [rows, 1]; the best stays."""
    ascending, order = logits.sort(dim=-1)
    left_out = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    left_out[:, -1] = False
    return logits.scatter(1, order, ascending.masked_fill(left_out, NEVER))
