"""Puts the preempted request behind those that wait, who came after it."""
from drills.classics.preemption import solution
from drills.classics.preemption.solution import resume  # noqa: F401

FAILS = {"test_where_it_goes": r"the queue is \['d', 'b', 'c'\], should be c, b, d"}


def preempt(request, running, waiting, pool):
    solution.preempt(request, running, waiting, pool)
    waiting.rotate(-1)
