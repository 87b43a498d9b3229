"""Adds -log(u), which is exponential noise: the second logarithm is missing, and the best tokens come too often or too rarely."""
from drills.classics.gumbel_max.solution import uniform

FAILS = {"test_the_distribution_over_seeds": "as often as its softmax says", "test_the_distribution_over_positions": "as often as its softmax says"}


def gumbel_max(logits, seeds, positions):
    return (logits.double() - uniform(seeds, positions, logits.shape[-1]).log()).argmax(-1)
