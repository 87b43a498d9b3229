"""Attends to all slots of the last block, also to those behind the end of the request."""
import numpy as np

from drills.classics.paged_gather_attention import solution

FAILS = {"test_the_last_block_is_not_full": "1 tokens in blocks of 2.*NaN", "test_heads_share_keys": "NaN", "test_the_scale": "NaN",
         "test_big_scores": "NaN", "test_half_precision_caches": "NaN"}


def paged_attention(query, key_cache, value_cache, block_table, num_tokens, scale):
    block_size = key_cache.shape[1]
    return solution.paged_attention(query, key_cache, value_cache, block_table, int(np.ceil(num_tokens / block_size)) * block_size, scale)
