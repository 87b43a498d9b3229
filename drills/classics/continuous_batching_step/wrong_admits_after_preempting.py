"""Admits whoever fits into the blocks that a preemption has just freed: often the victim itself, in the same step."""
from drills.classics.continuous_batching_step.solution import Step, _schedule_running, _schedule_waiting

FAILS = {"test_nobody_is_admitted_in_a_step_that_preempts": r"admitted: yours \['b'\], right \[\]: .*nobody is admitted in a step that preempts",
         "test_any_step": "nobody is admitted in a step that preempts", "test_a_whole_life": "nobody is admitted in a step that preempts"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    step = Step()
    token_budget = _schedule_running(step, running, waiting, blocks, token_budget, cap)
    _schedule_waiting(step, running, waiting, blocks, token_budget, max_num_seqs, cap)
    return step
