"""What can happen to drafts in a run: the words of speculative decoding for what a claim is `about`."""
from collections import Counter

from reference.trace import RUNNING, Run
from reference.workload import RequestSpec


def draft_events(run: Run) -> Counter:
    """How often each kind of event happened. A draft is told from a placeholder by being a token."""
    count: Counter = Counter()
    most = run.workload.config.get("num_speculative_tokens", 0)
    if not most:
        return count
    specs, said = _specs(run), Counter()        # `said`: output tokens so far, by request
    running: tuple[str, ...] = ()
    for step in run.steps:
        for share in step.scheduled:
            if share.kind == RUNNING and said[share.request_id]:
                proposed = specs[share.request_id].num_drafts(said[share.request_id], most)
                count["truncated drafts"] += len(share.spec_token_ids) < (proposed or 0)
                count["nothing proposed"] += proposed is None
            count["placeholders"] += share.kind != RUNNING and bool(share.spec_token_ids)
        scheduled = {share.request_id for share in step.scheduled}
        count["preempted drafts"] += sum(
            request_id in running and said[request_id] > 0 and bool(specs[request_id].num_drafts(said[request_id], most))
            for request_id in step.preempted)
        count["drafts left out"] += sum(request_id not in scheduled and said[request_id] > 0 for request_id in step.scheduled_state.running)
        told = {done.request_id: done for done in step.outputs}
        for share in step.scheduled:
            done = told.get(share.request_id)
            if share.spec_token_ids and done and share.kind == RUNNING:
                _count_verified(share.spec_token_ids, done, count)
        for done in step.outputs:
            said[done.request_id] += len(done.new_token_ids)
        running = step.updated_state.running
    return count


def engine_draft_events(run: Run) -> Counter:
    """The same of a whole engine, whose own proposer says what is drafted."""
    count: Counter = Counter()
    if not run.workload.config.get("speculative_config"):
        return count
    for step in run.steps:
        told = {done.request_id: done for done in step.outputs}
        for share in step.scheduled:
            if share.kind != RUNNING:
                count["placeholders"] += bool(share.spec_token_ids)
            elif share.request_id in told:
                count["nothing proposed"] += not share.spec_token_ids
                _count_verified(share.spec_token_ids, told[share.request_id], count)
    return count


def _count_verified(drafts: tuple[int, ...], done, count: Counter) -> None:
    accepted = sum(draft == token for draft, token in zip(drafts, done.new_token_ids))
    count["draft"] += len(drafts)
    count["accepted draft"] += accepted
    if accepted < len(done.new_token_ids) and accepted < len(drafts):
        count["rejected draft"] += len(drafts) - accepted
    elif drafts and done.finish_reason and accepted == len(done.new_token_ids):
        count["end inside drafts"] += 1


def _specs(run: Run) -> dict[str, RequestSpec]:
    """The request that each id stands for, its children's ids included."""
    specs = {}
    for spec in run.workload.requests:
        for request_id in [f"{index}_{spec.request_id}" for index in range(spec.n)] if spec.n > 1 else [spec.request_id]:
            specs[request_id] = spec
    return specs
