"""Rotary positions: your answer. The problem is in drills/kernels/rope/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def rope_kernel(positions, query, key, cos_sin_cache, NUM_HEADS: tl.constexpr, NUM_KV_HEADS: tl.constexpr, HALF: tl.constexpr,
                HEADS: tl.constexpr, KV_HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    """Turn the query's and the key's heads of one token. HEADS, KV_HEADS and COLUMNS are the powers of two that hold the numbers before them."""


def rope(positions: torch.Tensor, query: torch.Tensor, key: torch.Tensor, cos_sin_cache: torch.Tensor) -> None:
    """Turn query [tokens, heads, D] and key [tokens, KV heads, D] in place, each token by its position's angles.

    positions int64 [tokens]; cos_sin_cache [maximal position, D]: cosines, then sines. All but positions are float32, or all float16.
    """
    raise NotImplementedError("rope: rope is not written yet")
