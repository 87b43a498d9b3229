"""Admits before it serves those who run: the prompts of new requests hold up everybody's next token."""
from drills.classics.continuous_batching_step.solution import Step, _schedule_running, _schedule_waiting

FAILS = {"test_running_comes_first": "scheduled tokens: yours|served in the order", "test_the_budget_runs_out": "scheduled tokens: yours",
         "test_the_cap": "served in the order", "test_nothing_to_compute": "served in the order", "test_seats": "served in the order",
         "test_any_step": "yours|served", "test_a_whole_life": "yours|served"}


def schedule_step(running, waiting, blocks, token_budget, max_num_seqs, cap=None):
    step = Step()
    before = len(running)
    _schedule_waiting(step, running, waiting, blocks, token_budget, max_num_seqs, cap)
    token_budget -= sum(step.scheduled.values())
    new, running[before:] = running[before:], []
    _schedule_running(step, running, waiting, blocks, token_budget, cap)
    running += new
    return step
