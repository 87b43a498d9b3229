"""The real vLLM's sampler on hand-made logits: its batch, its logits processors and its draw, without an engine."""
import functools
import inspect
from dataclasses import fields
from types import SimpleNamespace

from impl.logprobs import Ranked
from impl.request import Request
from impl.sampling_params import SamplingParams
from reference.vllm_scheduler import QUIET

MAX_REQUESTS, MAX_TOKENS = 16, 64


@functools.cache
def _vllm() -> SimpleNamespace:
    import os
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import torch
    from vllm import SamplingParams
    from vllm.logprobs import append_logprobs_for_next_position
    from vllm.platforms import current_platform
    from vllm.v1.sample.logits_processor import BUILTIN_LOGITS_PROCESSORS, LogitsProcessors
    from vllm.v1.sample.sampler import Sampler
    from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch
    current_platform.import_kernels()
    limits = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=MAX_REQUESTS))
    return SimpleNamespace(**locals())


def vllm_params(params: SamplingParams):
    """The same parameters in vLLM's own type, which checks them once more."""
    named = {spec.name: getattr(params, spec.name) for spec in fields(params)}
    known = inspect.signature(_vllm().SamplingParams).parameters
    theirs = _vllm().SamplingParams(**{name: list(value) if isinstance(value, tuple) else value for name, value in named.items()
                                       if name in known and value not in ((), {}, None)})
    theirs._all_stop_token_ids = params.all_stop_token_ids
    theirs._bad_words_token_ids = [list(word) for word in params.bad_words_token_ids] or None
    return theirs


def vllm_sample(logits, requests: list[Request], logprobs_mode: str = "raw_logprobs") -> list[tuple[int, Ranked | None]]:
    """For each row of `logits` (float32 [requests, vocabulary]): the token that vLLM samples, and its logprobs."""
    vllm = _vllm()
    processors = vllm.LogitsProcessors(each(vllm.limits, vllm.torch.device("cpu"), False) for each in vllm.BUILTIN_LOGITS_PROCESSORS)
    batch = vllm.InputBatch(MAX_REQUESTS, MAX_TOKENS, MAX_TOKENS, vllm.torch.device("cpu"), logits.shape[-1], [32], [2], processors)
    for request in requests:
        seed = request.sampling_params.seed
        generator = None if seed is None else vllm.torch.Generator().manual_seed(seed)
        batch.add_request(vllm.CachedRequestState(
            request.request_id, list(request.prompt_token_ids), [], vllm_params(request.sampling_params), generator, ([1],),
            request.num_tokens - 1, request.token_ids[request.num_prompt_tokens:]))
    batch.refresh_metadata()
    output = vllm.Sampler(logprobs_mode)(logits.clone(), batch.sampling_metadata)
    token_ids = output.sampled_token_ids[:, 0].tolist()
    if output.logprobs_tensors is None:
        return [(token_id, None) for token_id in token_ids]
    return [(token_id, _ranked(output.logprobs_tensors, row, request.sampling_params.logprobs))
            for row, (token_id, request) in enumerate(zip(token_ids, requests))]


def _ranked(tensors, row: int, count: int | None) -> Ranked | None:
    """One row as the user gets it."""
    if count is None:
        return None
    positions: list = []
    _vllm().append_logprobs_for_next_position(
        positions, tensors.logprob_token_ids[row].tolist(), tensors.logprobs[row].tolist(), [None] * tensors.logprobs.shape[1],
        int(tensors.selected_token_ranks[row]), tensors.logprobs.shape[1] - 1 if count == -1 else count)
    return {token_id: (entry.logprob, entry.rank) for token_id, entry in positions[0].items()}


def expanded_on_cpu(values: list[float], num_drafts: list[int], unset: float) -> list[float]:
    """What vLLM's CPU build makes of a number for each request, such as its temperature: one for each draft, in a tensor full of `unset`.

    `expand_batch_to_tokens` of `v1/sample/rejection_sampler.py` makes that tensor with `new_empty`.
    """
    _vllm()
    import torch
    from vllm.utils import cpu_triton_utils
    output = torch.full((sum(num_drafts),), unset)
    cpu_triton_utils._expand_kernel_impl(output, torch.tensor(values), torch.tensor(num_drafts, dtype=torch.int32).cumsum(0, dtype=torch.int32), 0, 1)
    return output.tolist()
