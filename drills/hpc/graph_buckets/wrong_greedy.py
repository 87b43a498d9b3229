"""Begins with a graph per batch and drops the cheapest again and again: what it dropped early may turn out dear."""
from drills.hpc.graph_buckets.solution import *  # noqa: F403

FAILS = {"test_few_graphs_for_many_batches": "rows, .* are enough", "test_many_batches": "are enough"}


def choose_sizes(histogram, graphs):
    if graphs < 1:
        raise ValueError
    sizes = sorted(histogram)
    while len(sizes) > graphs:
        sizes.remove(min(sizes[:-1], key=lambda size: padding([other for other in sizes if other != size], histogram)))
    return sizes
