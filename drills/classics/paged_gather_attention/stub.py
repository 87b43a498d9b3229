"""Paged gather attention: your answer. The problem is in drills/classics/paged_gather_attention/README.md."""
import numpy as np


def paged_attention(query: np.ndarray, key_cache: np.ndarray, value_cache: np.ndarray, block_table: np.ndarray, num_tokens: int,
                    scale: float) -> np.ndarray:
    """The attention of one query over the first `num_tokens` keys and values of its request: float32 [heads, size].

    query: [heads, size]. key_cache, value_cache: [num_blocks, block_size, kv_heads, size], heads a multiple of kv_heads.
    block_table: int [at least as many as needed]. All float32 or float16. Without a token: zeros.
    """
    raise NotImplementedError("paged_gather_attention: paged_attention is not written yet")
