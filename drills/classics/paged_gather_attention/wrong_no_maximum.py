"""Takes exp of the scores as they are."""
import numpy as np

from drills.classics.paged_gather_attention.solution import _gather

FAILS = {"test_big_scores": "NaN"}


def paged_attention(query, key_cache, value_cache, block_table, num_tokens, scale):
    if num_tokens == 0:
        return np.zeros(query.shape, dtype=np.float32)
    keys, values = (np.repeat(_gather(cache, block_table, num_tokens), len(query) // cache.shape[2], axis=1) for cache in (key_cache, value_cache))
    weights = np.exp(np.einsum("hs,ths->ht", query.astype(np.float32), keys) * np.float32(scale))
    return np.einsum("ht,ths->hs", weights / weights.sum(axis=1, keepdims=True), values)
