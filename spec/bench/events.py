"""What can happen in a run: the words a claim may use for what it is `about`."""
from collections import Counter

from reference.trace import CRASHED, REFUSED, STALLED, Run, Step


def events(run: Run) -> Counter:
    """How often each kind of event happened in a run."""
    count: Counter = Counter()
    if run.ended in (STALLED, CRASHED, REFUSED):
        count[{STALLED: "stall", CRASHED: "crash", REFUSED: "refusal"}[run.ended]] += 1
    cached: set[int] = set()
    for step in run.steps:
        _count_step(step, cached, run, count)
        cached = set(step.updated_state.cached_blocks)
    for action in run.workload.actions:
        count[{"abort": "abort", "reset_prefix_cache": "reset", "pause": "pause"}[action.name]] += 1
    return +count


def _count_step(step: Step, cached: set[int], run: Run, count: Counter) -> None:
    count["admission"] += len(step.admitted)
    count["resumption"] += len(step.resumed)
    count["preemption"] += len(step.preempted)
    count["several preemptions"] += len(step.preempted) > 1
    count["refusal"] += len(step.refused)
    count["error"] += len(step.errors)
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


def _fresh_blocks(share, block_size: int) -> tuple[int, ...]:
    """The blocks it got from the free queue, without those it shares."""
    if share.kind == "running":
        return share.new_block_ids
    return share.new_block_ids[share.num_computed_tokens // block_size:]


def _sampled(step: Step, request_id: str) -> bool:
    return any(output.request_id == request_id for output in step.outputs)
