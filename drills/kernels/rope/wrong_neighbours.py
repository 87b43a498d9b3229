"""Pairs neighbours, numbers 2 i and 2 i + 1, as GPT-J does: another model's rotation."""
import torch

from drills.kernels.rope import solution

FAILS = {"test_number_i_turns_with_number_i_plus_half": "1 2 3 4 at position 1, query", "test_any_number_of_heads_and_any_size": "D = 8, query",
         "test_half_precision": "float16, query"}


def rope(positions, query, key, cos_sin_cache):
    for x in (query, key):
        halves = torch.cat((x[..., ::2], x[..., 1::2]), dim=-1)
        solution.rope(positions, halves, halves.clone(), cos_sin_cache)
        half = x.shape[-1] // 2
        x[..., ::2], x[..., 1::2] = halves[..., :half], halves[..., half:]
