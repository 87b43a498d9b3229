"""The smallest workload that still shows it."""
from collections.abc import Callable, Iterator
from dataclasses import replace

from reference.prompts import Prompts
from reference.workload import RequestSpec, Workload, segments
from spec.bench.shrink_prompts import simpler_prompts

ATTEMPTS = {Workload: 400, Prompts: 80}     # a model takes its time


def shrink(workload: Workload | Prompts, still_shows: Callable[[Workload | Prompts], bool],
           attempts: int | None = None) -> Workload | Prompts:
    """Greedily make a workload smaller as long as `still_shows` says yes, in at most that many questions."""
    attempts = attempts or ATTEMPTS[type(workload)]
    simpler = simpler_prompts if isinstance(workload, Prompts) else _simpler
    smaller = True
    while smaller:
        smaller = False
        for candidate in simpler(workload):
            if attempts == 0:
                return workload
            attempts -= 1
            if still_shows(candidate):
                workload, smaller = candidate, True
                break
    return workload


def _simpler(workload: Workload) -> Iterator[Workload]:
    """Workloads with one thing less, the boldest first."""
    requests, actions = workload.requests, workload.actions
    for size in (len(requests) // 2, len(requests) // 4, 1):
        for start in range(0, len(requests), size or 1):
            if size and len(requests) > size:
                yield _without_idle_start(replace(workload, requests=requests[:start] + requests[start + size:]))
    for index in range(len(actions)):
        yield replace(workload, actions=actions[:index] + actions[index + 1:])
    for name in ("watermark", "policy", "long_prefill_token_threshold_adaptive", "long_prefill_token_threshold",
                 "max_num_active_seqs", "scheduler_reserve_full_isl", "enable_chunked_prefill", "enable_prefix_caching",
                 "num_lookahead_tokens", "kv_cache_groups", "sliding_window", "async_scheduling"):
        if name in workload.config:
            yield replace(workload, config={key: value for key, value in workload.config.items() if key != name})
    for index, spec in enumerate(requests):
        for simpler in _simpler_request(spec):
            yield replace(workload, requests=requests[:index] + (simpler,) + requests[index + 1:])


def _simpler_request(spec: RequestSpec) -> Iterator[RequestSpec]:
    plain = RequestSpec(spec.request_id, spec.prompt)
    for name in ("drafts", "misdrafts", "says", "stop_token_ids", "ignore_eos", "cache_salt", "n", "min_tokens", "prompt_logprobs",
                 "skip_reading_prefix_cache", "arrival_time", "priority"):
        if getattr(spec, name) != getattr(plain, name):
            yield replace(spec, **{name: getattr(plain, name)})
    pieces = list(segments(spec.prompt))
    for index, (label, count) in enumerate(pieces):
        for fewer in sorted({0, count // 2, count - 1}):
            if 0 <= fewer < count and (fewer or len(pieces) > 1):
                kept = pieces[:index] + ([(label, fewer)] if fewer else []) + pieces[index + 1:]
                yield replace(spec, prompt=" ".join(f"{label}:{count}" for label, count in kept))
    for fewer in sorted({1, (spec.max_tokens or 16) // 2, (spec.max_tokens or 16) - 1}):
        if 0 < fewer < (spec.max_tokens or 16) and fewer >= spec.min_tokens:
            yield replace(spec, max_tokens=fewer)
    for earlier in sorted({0, spec.arrives // 2, spec.arrives - 1}):
        if 0 <= earlier < spec.arrives:
            yield replace(spec, arrives=earlier)


def _without_idle_start(workload: Workload) -> Workload:
    """Move everything forward to the first arrival."""
    start = min((spec.arrives for spec in workload.requests), default=0)
    if not start or any(action.at < start for action in workload.actions):
        return workload
    return replace(workload, requests=tuple(replace(spec, arrives=spec.arrives - start) for spec in workload.requests),
                   actions=tuple(replace(action, at=action.at - start) for action in workload.actions))
