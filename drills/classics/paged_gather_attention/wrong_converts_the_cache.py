"""Converts the whole cache to float32 before it gathers: right, and it needs more memory than there is."""
import numpy as np

from drills.classics.paged_gather_attention import solution

FAILS = {"test_only_the_blocks_of_the_request_are_touched": "bytes were allocated for a request of 40 tokens"}


def paged_attention(query, key_cache, value_cache, block_table, num_tokens, scale):
    return solution.paged_attention(query, key_cache.astype(np.float32), value_cache.astype(np.float32), block_table, num_tokens, scale)
