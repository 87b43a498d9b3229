"""What can happen in a run: the words a claim may use for what it is `about`."""
from collections import Counter

from reference.generate import Generation
from reference.trace import CRASHED, REFUSED, STALLED, Run, Step
from spec.bench.draft_events import draft_events


def events(run: Run) -> Counter:
    """How often each kind of event happened in a run."""
    count: Counter = Counter()
    if run.ended in (STALLED, CRASHED, REFUSED):
        count[{STALLED: "stall", CRASHED: "crash", REFUSED: "refusal"}[run.ended]] += 1
    cached: set[int] = set()
    for step in run.steps:
        _count_step(step, cached, run, count)
        cached = set(step.updated_state.cached_blocks)
    count["abort"] = len(_aborted(run))
    if isinstance(run, Generation):
        return +(count + _generated(run))
    count["abort call"] = sum(action.name == "abort" for action in run.workload.actions)    # there may be nobody to abort
    count += draft_events(run)
    count["pause"] = sum(action.name == "pause" and action.argument != "unpaused" for action in run.workload.actions)
    return +count


def _count_step(step: Step, cached: set[int], run: Run, count: Counter) -> None:
    count["admission"] += len(step.admitted)
    count["resumption"] += len(step.resumed)
    count["preemption"] += len(step.preempted)
    count["several preemptions"] += len(step.preempted) > 1
    count["refusal"] += len(step.refused)
    count["error"] += len(step.errors)
    count["reset"] += len(step.resets)
    count["cache hit"] += sum(share.num_computed_tokens > 0 for share in step.admitted)
    # Served from a block that was cached only in this very step: sharing with a batch mate.
    size = run.workload.config["block_size"]
    count["sharing within a step"] += sum(
        any(block_id not in cached for block_id in share.new_block_ids[:share.num_computed_tokens // size])
        for share in step.admitted)
    count["eviction"] += sum(block_id in cached for share in step.scheduled for block_id in _fresh_blocks(share, size))
    count["chunk"] += sum(share.num_tokens > 1 and not _sampled(step, share.request_id) for share in step.scheduled)
    count["decode"] += sum(share.num_tokens == 1 for share in step.running)
    count["waiting"] += bool(step.scheduled_state.waiting)
    for output in step.outputs:
        if output.finish_reason:
            count["finish"] += 1
            count["stop" if output.finish_reason == "stop" else "length"] += 1


def _generated(run: Generation) -> Counter:
    """What only an engine with a model does."""
    count = Counter({"refusal": len(run.refused), "abort call": len(run.workload.aborts)})
    for ask in run.workload.asks:
        output = run.requests.get(ask.request_id)
        if output is None:
            continue
        count["greedy" if ask.params["temperature"] == 0 else "sampling"] += 1
        count["several sequences"] += len(output.outputs) > 1
        count["prompt logprobs"] += output.prompt_logprobs is not None
        for done in output.outputs:
            count["generated token"] += len(done.token_ids)
            count["logprobs"] += done.logprobs is not None
            if done.finish_reason == "stop":
                count[{str: "stop string", int: "stop token"}.get(type(done.stop_reason), "end of sequence")] += 1
            count["engine error"] += done.finish_reason == "error"
    # A token came and no text with it: part of a character, or what may become a stop string.
    count["held back"] = sum(len(step.outputs) > len(said) for step, said in zip(run.steps, run.stream))
    return count


def _aborted(run: Run) -> set[str]:
    """Requests that left without an end of their own: out of a queue, or as the workers were told."""
    aborted, known, ended = set(), set(), set()
    for step in run.steps:
        scheduled, updated = (set(state.running + state.waiting) for state in (step.scheduled_state, step.updated_state))
        aborted |= (known - scheduled) | set(step.finished) - ended
        ended |= {done.request_id for done in step.outputs if done.finish_reason}
        aborted |= scheduled - updated - ended
        known = updated
    return aborted


def _fresh_blocks(share, block_size: int) -> tuple[int, ...]:
    """The blocks it got from the free queue, without those it shares."""
    if share.kind == "running":
        return share.new_block_ids
    return share.new_block_ids[share.num_computed_tokens // block_size:]


def _sampled(step: Step, request_id: str) -> bool:
    return any(output.request_id == request_id for output in step.outputs)
