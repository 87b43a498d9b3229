"""What can happen in a run: the words a claim may use for what it is `about`."""
from collections import Counter

from reference.generate import Generation
from reference.trace import CRASHED, NULL, REFUSED, STALLED, Run, Step, by_group
from spec.bench.draft_events import draft_events, engine_draft_events


def events(run: Run) -> Counter:
    """How often each kind of event happened in a run."""
    count: Counter = Counter()
    if run.ended in (STALLED, CRASHED, REFUSED):
        count[{STALLED: "stall", CRASHED: "crash", REFUSED: "refusal"}[run.ended]] += 1
    cached: set[int] = set()
    tables: dict = {}
    one_later = bool(run.workload.config.get("async_scheduling"))     # the tokens of a step come with the next
    for index, step in enumerate(run.steps):
        _count_step(step, run.steps[index + one_later:index + one_later + 1], cached, run, count)
        cached = set(step.updated_state.cached_blocks)
        if step.scheduled_state.block_tables is not None:
            _count_windows(step, tables, count)
            tables = step.scheduled_state.block_tables
    count["abort"] = len(_aborted(run))
    if run.workload.config.get("async_scheduling"):
        count += _overlapped(run)
    if isinstance(run, Generation):
        return +(count + _generated(run) + engine_draft_events(run))
    count["abort call"] = sum(action.name == "abort" for action in run.workload.actions)    # there may be nobody to abort
    structured = {spec.request_id for spec in run.workload.requests if spec.grammar}
    count["grammar wait"] = sum(bool(structured & set(step.scheduled_state.waiting)) for step in run.steps)
    count["error end"] = sum(output.finish_reason == "error" for step in run.steps for output in step.outputs)
    count += draft_events(run)
    count["pause"] = sum(action.name == "pause" and action.argument != "unpaused" for action in run.workload.actions)
    return +count


def _count_step(step: Step, told: list[Step], cached: set[int], run: Run, count: Counter) -> None:
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
        any(block_id not in cached for ids in by_group(share.new_block_ids) for block_id in ids[:share.num_computed_tokens // size] if block_id)
        for share in step.admitted)
    count["eviction"] += sum(block_id in cached for share in step.scheduled for block_id in _fresh_blocks(share, size))
    count["chunk"] += sum(share.num_tokens > 1 and not _sampled(told, share.request_id) for share in step.scheduled)
    count["decode"] += sum(share.num_tokens == 1 for share in step.running)
    count["waiting"] += bool(step.scheduled_state.waiting)
    for output in step.outputs:
        if output.finish_reason:
            count["finish"] += 1
            count["stop" if output.finish_reason == "stop" else "length"] += 1


def _overlapped(run: Run) -> Counter:
    """What only happens when a step is decided while the one before is in flight."""
    count: Counter = Counter()
    for before, step, after in zip(run.steps, run.steps[1:], [*run.steps[2:], None]):
        count["step in flight"] += bool(before.scheduled)
        count["reset in flight"] += bool(before.scheduled and step.resets)
        waiting, running = set(step.scheduled_state.waiting), set(step.scheduled_state.running)
        for done in step.outputs:
            count["token for a preempted request"] += done.request_id in waiting
            count["end while preempted"] += done.request_id in waiting and done.finish_reason is not None
            count["end known in advance"] += done.finish_reason == "length" and done.request_id in running and not step.of(done.request_id)
        # Computed for somebody who is gone when it could be told: by a stop token, or by an abort.
        here = set(after.scheduled_state.running + after.scheduled_state.waiting) if after else set()
        count["wasted share"] += sum(share.request_id not in here for share in step.scheduled)
    return count


def _count_windows(step: Step, before: dict, count: Counter) -> None:
    """What only happens where attention has a window. `before`: the block tables of the step before."""
    for share in step.running:
        pairs = [pair for ids, old in zip(step.scheduled_state.block_tables.get(share.request_id, ()), before[share.request_id]) for pair in zip(ids, old)]
        count["out of window"] += any(block_id == NULL != old for block_id, old in pairs)
    count["hit behind a gap"] += sum(NULL in ids for share in step.admitted for ids in by_group(share.new_block_ids))
    count["several groups"] += any(len(table) > 1 for table in step.scheduled_state.block_tables.values())


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
    hit = 0 if share.kind == "running" else share.num_computed_tokens // block_size
    return tuple(block_id for ids in by_group(share.new_block_ids) for block_id in ids[hit:])


def _sampled(told: list[Step], request_id: str) -> bool:
    return any(output.request_id == request_id for step in told for output in step.outputs)
