"""Makes the noise from the seed alone: each token of a request is drawn with the same noise as the one before."""
import torch

from drills.classics.gumbel_max import solution

FAILS = {"test_the_numbers_of_a_row_are_a_row_of_their_own": "seed 0 at position 1 and seed 0 at position 0 have 300 of 300",
         "test_the_distribution_over_positions": "as often as its softmax says", "test_positions_are_independent": "pairs of successive tokens"}


def uniform(seeds, positions, vocabulary):
    return solution.uniform(seeds, torch.zeros_like(positions), vocabulary)


def gumbel_max(logits, seeds, positions):
    return solution.gumbel_max(logits, seeds, torch.zeros_like(positions))
