"""Leaves it to the library, which adds along the memory: its order depends on how the batch lies there."""
from drills.hpc.summation_order.solution import *  # noqa: F403

FAILS = {"test_a_row_does_not_see_how_the_batch_lies_in_memory": "depends on the layout"}


def row_sums(matrix, split=64):
    return matrix.sum(axis=1)
