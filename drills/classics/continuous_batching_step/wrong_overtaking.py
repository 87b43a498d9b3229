"""Looks for anybody in the queue who fits, so that a large request waits for ever behind small ones."""
from collections import deque

from drills.classics.continuous_batching_step.solution import Step, _schedule_running, _share, _take

FAILS = {"test_nobody_overtakes": "nobody overtakes it", "test_any_step": "nobody overtakes it", "test_a_whole_life": "nobody overtakes it",
         "test_those_who_wait_cost_nothing": "with 1000"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    step = Step()
    token_budget = _schedule_running(step, running, waiting, blocks, token_budget, cap)
    if step.preempted:
        return step
    skipped = deque()
    while waiting and token_budget > 0 and len(running) < max_num_seqs:
        request = waiting.popleft()
        num_cached_tokens = blocks.cached_tokens(request)
        num_new_tokens = _share(request.num_tokens - num_cached_tokens, token_budget, cap)
        if not blocks.admit(request, num_cached_tokens, num_new_tokens):
            skipped.append(request)
            continue
        running.append(request)
        request.num_computed_tokens = num_cached_tokens
        step.admitted.append(request.request_id)
        _take(step, request, num_new_tokens)
        token_budget -= num_new_tokens
    waiting.extendleft(reversed(skipped))
    return step
