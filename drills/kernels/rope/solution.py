"""A program per token turns all its heads: both halves are read before either is written."""
import torch
import triton
import triton.language as tl


@triton.jit
def _turn(x, cos, sin, NUM_HEADS: tl.constexpr, HALF: tl.constexpr, HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    """Turn the heads that begin at x; cos and sin are [1, COLUMNS], of which HALF count."""
    heads, columns = tl.arange(0, HEADS)[:, None], tl.arange(0, COLUMNS)[None, :]
    at = x + heads * 2 * HALF + columns
    mask = (heads < NUM_HEADS) & (columns < HALF)
    a = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(at + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, (a * cos - b * sin).to(x.dtype.element_ty), mask=mask)
    tl.store(at + HALF, (b * cos + a * sin).to(x.dtype.element_ty), mask=mask)


@triton.jit
def rope_kernel(positions, query, key, cos_sin_cache, NUM_HEADS: tl.constexpr, NUM_KV_HEADS: tl.constexpr, HALF: tl.constexpr,
                HEADS: tl.constexpr, KV_HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    """Turn the query's and the key's heads of one token. HEADS, KV_HEADS and COLUMNS are the powers of two that hold the numbers before them."""
    token = tl.program_id(0).to(tl.int64)
    angles = cos_sin_cache + tl.load(positions + token) * 2 * HALF
    columns = tl.arange(0, COLUMNS)[None, :]
    cos = tl.load(angles + columns, mask=columns < HALF, other=0.0).to(tl.float32)
    sin = tl.load(angles + HALF + columns, mask=columns < HALF, other=0.0).to(tl.float32)
    _turn(query + token * NUM_HEADS * 2 * HALF, cos, sin, NUM_HEADS, HALF, HEADS, COLUMNS)
    _turn(key + token * NUM_KV_HEADS * 2 * HALF, cos, sin, NUM_KV_HEADS, HALF, KV_HEADS, COLUMNS)


def rope(positions: torch.Tensor, query: torch.Tensor, key: torch.Tensor, cos_sin_cache: torch.Tensor) -> None:
    """Turn query [tokens, heads, D] and key [tokens, KV heads, D] in place, each token by its position's angles.

    positions int64 [tokens]; cos_sin_cache [maximal position, D]: cosines, then sines. All but positions are float32, or all float16.
    """
    (tokens, heads, head_dim), kv_heads = query.shape, key.shape[1]
    if tokens:
        half = head_dim // 2
        rope_kernel[(tokens,)](positions, query, key, cos_sin_cache, NUM_HEADS=heads, NUM_KV_HEADS=kv_heads, HALF=half,
                               HEADS=triton.next_power_of_2(heads), KV_HEADS=triton.next_power_of_2(kv_heads), COLUMNS=triton.next_power_of_2(half))
