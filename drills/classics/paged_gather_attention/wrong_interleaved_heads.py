"""Gives head h the key/value head h modulo their number: a group is made of neighbours."""
import numpy as np

from drills.classics.paged_gather_attention import solution

FAILS = {"test_heads_share_keys": r"'heads': 4, 'kv_heads': 2.*head \d is", "test_half_precision_caches": r"head \d is"}


def paged_attention(query, key_cache, value_cache, block_table, num_tokens, scale):
    heads, kv_heads = len(query), key_cache.shape[2]
    order = np.arange(heads).reshape(-1, kv_heads).T.reshape(-1)
    out = np.empty(query.shape, dtype=np.float32)
    out[order] = solution.paged_attention(query[order], key_cache, value_cache, block_table, num_tokens, scale)
    return out
