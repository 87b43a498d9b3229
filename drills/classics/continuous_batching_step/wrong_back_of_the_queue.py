"""Puts a preempted request behind those that wait, as if it had just come."""
from drills.classics.continuous_batching_step import solution

FAILS = {"test_the_preempted_go_to_the_front": "waiting afterwards: .*goes to the front",
         "test_nobody_is_admitted_in_a_step_that_preempts": "waiting afterwards: .*goes to the front",
         "test_any_step": "waiting afterwards", "test_a_whole_life": "waiting afterwards"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    step = solution.schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap)
    waiting.rotate(-len(step.preempted))
    return step
