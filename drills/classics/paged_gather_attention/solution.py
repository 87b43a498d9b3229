"""Walk along the block table, gather the keys and values of one request, and attend to them."""
import numpy as np


def paged_attention(query: np.ndarray, key_cache: np.ndarray, value_cache: np.ndarray, block_table: np.ndarray, num_tokens: int,
                    scale: float) -> np.ndarray:
    """The attention of one query over the first `num_tokens` keys and values of its request: float32 [heads, size].

    query: [heads, size]. key_cache, value_cache: [num_blocks, block_size, kv_heads, size], heads a multiple of kv_heads.
    block_table: int [at least as many as needed]. All float32 or float16. Without a token: zeros.
    """
    if num_tokens == 0:
        return np.zeros(query.shape, dtype=np.float32)
    keys, values = (_gather(cache, block_table, num_tokens) for cache in (key_cache, value_cache))
    num_heads, size = query.shape
    num_kv_heads = keys.shape[1]
    grouped = query.astype(np.float32).reshape(num_kv_heads, num_heads // num_kv_heads, size)
    scores = np.einsum("kgs,tks->kgt", grouped, keys) * np.float32(scale)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("kgt,tks->kgs", weights, values).reshape(num_heads, size)


def _gather(cache: np.ndarray, block_table: np.ndarray, num_tokens: int) -> np.ndarray:
    """What lies in the slots of the first tokens, in their order: float32 [num_tokens, kv_heads, size]."""
    block_size = cache.shape[1]
    positions = np.arange(num_tokens)
    return cache[block_table[positions // block_size], positions % block_size].astype(np.float32)
