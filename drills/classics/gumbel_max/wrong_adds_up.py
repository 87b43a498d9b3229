"""Hashes the sum of seed, position and token: the next position has the same noise, shifted by one token."""
import torch

from drills.classics.gumbel_max.solution import mix

FAILS = {"test_the_numbers_of_a_row_are_a_row_of_their_own": "have 299 of 300 numbers in common",
         "test_positions_are_independent": "pairs of successive tokens",
         "test_seeds_of_any_size": "are different"}


def uniform(seeds, positions, vocabulary):
    bits = mix(mix((seeds + positions)[:, None] + torch.arange(vocabulary)))
    return (((bits >> 11) & ((1 << 53) - 1)).double() + 0.5) * 2.0**-53


def gumbel_max(logits, seeds, positions):
    return (logits.double() - (-uniform(seeds, positions, logits.shape[-1]).log()).log()).argmax(-1)
