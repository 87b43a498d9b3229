"""Casts the positions to the dtype of the model first: bfloat16 knows no 257."""
import torch

from drills.classics.rope_invariance.solution import rotate

FAILS = {"test_the_table_at_long_positions": "an angle needs at least float32",
         "test_the_score_depends_on_the_distance_only": "The same distance, the same score"}


def cos_sin_cache(rotary_dim, max_position, base=10_000.0):
    frequencies = base ** (-torch.arange(0, rotary_dim, 2) / rotary_dim)
    angles = torch.arange(max_position).bfloat16().float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)
