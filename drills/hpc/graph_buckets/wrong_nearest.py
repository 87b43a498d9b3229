"""Dispatches to the nearest graph: one that is too small has no room for the batch."""
from drills.hpc.graph_buckets import solution
from drills.hpc.graph_buckets.solution import *  # noqa: F403

FAILS = {"test_dispatch": "is the smallest that holds it"}


class Dispatcher(solution.Dispatcher):
    def __init__(self, sizes):
        super().__init__(sizes)
        self.padded = [min(sizes, key=lambda size: abs(size - batch)) for batch in range(sizes[-1] + 1)]
