"""Rotary positions: turn each pair of coordinates of a head, i and i + D/2, by an angle that grows with the position.

One program turns all heads of one token, queries and keys, so that the angles are read once. Both halves of all heads are
on their way before the first is needed.

Computed in float32 and rounded once; torch, and vLLM's kernel, round every product.

Mirrors `model_executor/layers/rotary_embedding/base.py::RotaryEmbedding` and what it calls, `_custom_ops.py::rotary_embedding`.
"""
import torch
import triton
import triton.language as tl


def rope_twin(queries: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor, cos_sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What `rope` leaves in `queries` and `keys`, by torch."""
    cos, sin = cos_sin[positions].unsqueeze(1).to(queries.dtype).chunk(2, dim=-1)
    (a, b), (c, d) = queries.chunk(2, dim=-1), keys.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1), torch.cat((c * cos - d * sin, d * cos + c * sin), dim=-1)


@triton.jit
def heads_of(token, stride_token, stride_head, NUM_HEADS: tl.constexpr, HALF: tl.constexpr, HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where a token's heads begin and go on: offsets [heads, half] of the first half, and which exist. Tiles are powers of two, heads need not be."""
    heads, columns = tl.arange(0, HEADS), tl.arange(0, COLUMNS)
    offsets = token * stride_token + heads.to(tl.int64)[:, None] * stride_head + columns[None, :]
    return offsets, (heads < NUM_HEADS)[:, None] & (columns < HALF)[None, :]


@triton.jit
def angles_of(position, cos_sin, stride_position, HALF: tl.constexpr, COLUMNS: tl.constexpr):
    """Cosines and sines of one position, float32 [1, half] each."""
    columns = tl.arange(0, COLUMNS)
    cos = tl.load(cos_sin + position * stride_position + columns, mask=columns < HALF, other=0.0)
    sin = tl.load(cos_sin + position * stride_position + HALF + columns, mask=columns < HALF, other=0.0)
    return cos.to(tl.float32)[None, :], sin.to(tl.float32)[None, :]


@triton.jit
def turned(a, b, cos, sin):
    return a * cos - b * sin, b * cos + a * sin


@triton.jit
def rope_kernel(queries, keys, positions, cos_sin, q_stride_token, q_stride_head, k_stride_token, k_stride_head, stride_position,
                NUM_HEADS: tl.constexpr, NUM_KV_HEADS: tl.constexpr, HALF: tl.constexpr,
                HEADS: tl.constexpr, KV_HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    position = tl.load(positions + token)
    q_at, q_mask = heads_of(token, q_stride_token, q_stride_head, NUM_HEADS, HALF, HEADS, COLUMNS)
    k_at, k_mask = heads_of(token, k_stride_token, k_stride_head, NUM_KV_HEADS, HALF, KV_HEADS, COLUMNS)
    # All loads stand before the first store: the compiler moves none across it.
    a = tl.load(queries + q_at, mask=q_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    b = tl.load(queries + q_at + HALF, mask=q_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    c = tl.load(keys + k_at, mask=k_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    d = tl.load(keys + k_at + HALF, mask=k_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    cos, sin = angles_of(position, cos_sin, stride_position, HALF, COLUMNS)
    a, b = turned(a, b, cos, sin)
    c, d = turned(c, d, cos, sin)
    tl.store(queries + q_at, a.to(queries.dtype.element_ty), mask=q_mask)
    tl.store(queries + q_at + HALF, b.to(queries.dtype.element_ty), mask=q_mask)
    tl.store(keys + k_at, c.to(keys.dtype.element_ty), mask=k_mask)
    tl.store(keys + k_at + HALF, d.to(keys.dtype.element_ty), mask=k_mask)


def rope(queries: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor, cos_sin: torch.Tensor, *, num_warps: int | None = None) -> None:
    """Turn `queries` and `keys` in place, each by its token's position.

    `queries` [tokens, heads, D], `keys` [tokens, KV heads, D]: float32, bfloat16 or float16, each head contiguous; `positions` int64
    [tokens]; `cos_sin` [max position, D], of any float dtype: cosines, then sines, as in vLLM's `cos_sin_cache`.
    A position past the table reads past the table: nobody looks. Raises `ValueError` on shapes, dtypes and strides it cannot do.
    """
    check_positions(queries.shape[0], queries.shape[-1], positions, cos_sin)
    if queries.dim() != 3 or keys.dim() != 3 or keys.shape[::2] != queries.shape[::2]:
        raise ValueError(f"queries are {list(queries.shape)} and keys {list(keys.shape)}: give [tokens, heads, D] of the same tokens and D")
    if queries.dtype not in (torch.float32, torch.bfloat16, torch.float16) or keys.dtype != queries.dtype:
        raise ValueError(f"queries are {queries.dtype} and keys {keys.dtype}: give both as one of float32, bfloat16 and float16")
    if queries.stride(2) != 1 or keys.stride(2) != 1:
        raise ValueError("numbers of a head must be neighbours in memory: call .contiguous() first")
    if queries.shape[0] == 0:
        return
    tile = tile_of(queries.shape[1], keys.shape[1], queries.shape[2], num_warps)
    rope_kernel[(queries.shape[0],)](queries, keys, positions, cos_sin, *queries.stride()[:2], *keys.stride()[:2], cos_sin.stride(0), **tile)


def bytes_min(tokens: int, num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, cos_sin_dtype: torch.dtype | None = None) -> int:
    """Bytes that must move: every head in and out; per token its angles, in `cos_sin_dtype` (None: the same), and its position."""
    heads = 2 * (num_heads + num_kv_heads) * head_dim * dtype.itemsize
    return tokens * (heads + head_dim * (cos_sin_dtype or dtype).itemsize + 8)


def flops(tokens: int, num_heads: int, num_kv_heads: int, head_dim: int) -> int:
    """Operations: two products and a sum for every number."""
    return 3 * tokens * (num_heads + num_kv_heads) * head_dim


def tile_of(num_heads: int, num_kv_heads: int, head_dim: int, num_warps: int | None) -> dict[str, int]:
    """What the program of a token does: all heads; 8 numbers of each half of the queries a thread, unless that takes over 16 warps."""
    heads, half = triton.next_power_of_2(num_heads), triton.next_power_of_2(head_dim // 2)
    return {"NUM_HEADS": num_heads, "NUM_KV_HEADS": num_kv_heads, "HALF": head_dim // 2,
            "HEADS": heads, "KV_HEADS": triton.next_power_of_2(num_kv_heads), "COLUMNS": half,
            "num_warps": num_warps or min(max(heads * half // 256, 1), 16)}


def check_positions(tokens: int, head_dim: int, positions: torch.Tensor, cos_sin: torch.Tensor) -> None:
    if positions.dtype != torch.int64 or positions.shape != (tokens,) or not positions.is_contiguous():
        raise ValueError(f"positions are {positions.dtype} {list(positions.shape)}: give int64 {[tokens]}, contiguous")
    if head_dim % 2 or cos_sin.dim() != 2 or cos_sin.shape[1] != head_dim or cos_sin.stride(1) != 1 or not cos_sin.is_floating_point():
        raise ValueError(f"heads have {head_dim} numbers and cos_sin is {cos_sin.dtype} {list(cos_sin.shape)}: "
                         "give an even number, and as many columns of floats, neighbours in memory")
