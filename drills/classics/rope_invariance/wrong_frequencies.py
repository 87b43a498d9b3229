"""Lets the exponent run to one half only: i / rotary_dim in the place of 2 i / rotary_dim."""
import torch

from drills.classics.rope_invariance.solution import rotate

FAILS = {"test_the_table": r"pair i turns by", "test_the_table_at_long_positions": "away from those of", "test_what_is_a_pair": "a one at 1"}


def cos_sin_cache(rotary_dim, max_position, base=10_000.0):
    frequencies = base ** (-torch.arange(rotary_dim // 2, dtype=torch.float64) / rotary_dim)
    angles = torch.arange(max_position, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1).float()
