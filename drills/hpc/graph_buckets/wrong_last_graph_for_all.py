"""Sends a batch that is too large to the largest graph: the rows beyond it would not be computed."""
from drills.hpc.graph_buckets import solution
from drills.hpc.graph_buckets.solution import *  # noqa: F403

FAILS = {"test_dispatch": "no graph holds it, it has to run without one", "test_padding": "DID NOT RAISE"}


class Dispatcher(solution.Dispatcher):
    def dispatch(self, batch):
        return self.padded[min(batch, len(self.padded) - 1)]


def padding(sizes, histogram):
    dispatcher = Dispatcher(sizes)
    return sum((dispatcher.dispatch(batch) - batch) * count for batch, count in histogram.items())
