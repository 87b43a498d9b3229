"""Frees the blocks from the first to the last, so that the first, without which the rest is useless, is evicted first."""
from drills.classics.preemption import solution
from drills.classics.preemption.solution import resume  # noqa: F401

FAILS = {"test_its_beginning_is_evicted_last": r"the blocks \[1, 2, 3\] of the preempted request are still cached, should be \[0, 1, 2\]",
         "test_its_hits_are_next_to_be_evicted": "it begins at"}


def preempt(request, running, waiting, pool):
    request.blocks.reverse()
    solution.preempt(request, running, waiting, pool)
