"""Gives each graph as many batches: quantiles look fair, and pad the rare large ones as if they were frequent."""
from drills.hpc.graph_buckets.solution import *  # noqa: F403

FAILS = {"test_few_graphs_for_many_batches": "rows, .* are enough", "test_many_batches": "are enough"}


def choose_sizes(histogram, graphs):
    if graphs < 1:
        raise ValueError
    batches = sorted(histogram)
    if len(batches) <= graphs:
        return batches
    return sorted({batches[len(batches) * i // graphs - 1] for i in range(1, graphs + 1)})
