"""Turns as many heads of the key as the query has: beyond its own lie those of the next token, and then somebody else's memory."""
import triton

from drills.kernels.rope.solution import rope_kernel

FAILS = {"test_any_number_of_heads_and_any_size": "beyond the end", "test_half_precision": "beyond the end"}


def rope(positions, query, key, cos_sin_cache):
    if len(query):
        heads, half = query.shape[1], query.shape[2] // 2
        rope_kernel[(len(query),)](positions, query, key, cos_sin_cache, NUM_HEADS=heads, NUM_KV_HEADS=heads, HALF=half,
                                   HEADS=triton.next_power_of_2(heads), KV_HEADS=triton.next_power_of_2(heads), COLUMNS=triton.next_power_of_2(half))
