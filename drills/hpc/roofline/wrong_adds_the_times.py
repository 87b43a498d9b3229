"""Adds computing and moving, as if the machine did one after the other."""
from drills.hpc.roofline.solution import *  # noqa: F403

FAILS = {"test_the_shortest_time": "at the same time", "test_the_attained_share": "of the roof"}


def shortest_time(operations, moved, machine):
    return operations / machine.operations + moved / machine.bandwidth


def attained_share(operations, moved, machine, seconds):
    return shortest_time(operations, moved, machine) / seconds
