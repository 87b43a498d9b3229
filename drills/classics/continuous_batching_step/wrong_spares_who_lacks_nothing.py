"""Looks only at the running requests that lack tokens, and preempts the last of those: one that waits for its result is spared."""
from drills.classics.continuous_batching_step import solution

FAILS = {"test_who_lacks_nothing_is_preempted_as_well": "the last running request goes"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    idle = [each for each in running if each.num_computed_tokens == each.num_tokens]
    order = {id(each): place for place, each in enumerate(running)}
    running[:] = [each for each in running if each not in idle]
    step = solution.Step()
    token_budget = solution._schedule_running(step, running, waiting, blocks, token_budget, cap)
    running[:] = sorted(running + idle, key=lambda each: order[id(each)])
    if not step.preempted:
        solution._schedule_waiting(step, running, waiting, blocks, token_budget, max_num_seqs, cap)
    return step
