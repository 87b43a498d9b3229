"""Turns a token by its place in the batch: right for one request from its beginning, and for no other."""
import torch

from drills.kernels.rope import solution

FAILS = {"test_number_i_turns_with_number_i_plus_half": "1 2 3 4 at position 1, query",
         "test_the_position_chooses_the_angle": "positions 7, 0, 3, 3, 30, query",
         "test_any_number_of_heads_and_any_size": "D = .*, query", "test_half_precision": "float16, query"}


def rope(positions, query, key, cos_sin_cache):
    solution.rope(torch.arange(len(positions), device=positions.device), query, key, cos_sin_cache)
