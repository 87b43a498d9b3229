"""From the QKV product to attention's door in one pass: norm of every query and key head, rotary positions, keys and values into the cache.

Apart, these are three kernels, and queries and keys go through memory twice more: a norm, `kernels/rope.py`, `kernels/cache_write.py`.
Here one program does it all for one token, in registers. Queries come out in a tensor of their own; keys and values go nowhere but to
the cache. Computed in float32 and rounded once. Values are copied, or for an 8-bit cache scaled.

Mirrors `_custom_ops.py::fused_qk_norm_rope`, which writes back into the product and leaves the cache to another kernel.
"""
import torch
import triton
import triton.language as tl

from kernels.cache_write import as_stored, check_cache, write_cache_twin
from kernels.rms_norm import rms_norm_twin
from kernels.rope import angles_of, check_positions, heads_of, rope_twin, tile_of, turned
from kernels.dependent_launch import EARLY, await_the_kernel_before


def qk_norm_rope_cache_twin(qkv: torch.Tensor, q_weight: torch.Tensor | None, k_weight: torch.Tensor | None, eps: float, positions: torch.Tensor,
                            cos_sin: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                            num_heads: int, num_kv_heads: int, k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None,
                            ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries and what is left in both caches, by torch, one step after the other; the caches themselves stay as they are."""
    heads = qkv.unflatten(-1, (num_heads + 2 * num_kv_heads, -1))
    queries, keys, values = heads.split((num_heads, num_kv_heads, num_kv_heads), dim=1)
    queries = queries if q_weight is None else rms_norm_twin(queries, q_weight, eps)
    keys = keys if k_weight is None else rms_norm_twin(keys, k_weight, eps)
    queries, keys = rope_twin(queries, keys, positions, cos_sin)
    return queries, *write_cache_twin(keys, values, key_cache, value_cache, slot_mapping, k_scale, v_scale)


@triton.jit
def normed_halves(a, b, weight, eps, HALF: tl.constexpr, COLUMNS: tl.constexpr):
    """`a`, `b`: the halves of heads, float32 [heads, half], 0 where there is nothing; normed head by head, unless `weight` is None."""
    if weight is not None:
        columns = tl.arange(0, COLUMNS)
        scale = tl.rsqrt(tl.sum(a * a + b * b, axis=1) / (2 * HALF) + eps)[:, None]
        a *= scale * tl.load(weight + columns, mask=columns < HALF, other=0.0).to(tl.float32)[None, :]
        b *= scale * tl.load(weight + HALF + columns, mask=columns < HALF, other=0.0).to(tl.float32)[None, :]
    return a, b


@triton.jit
def qk_norm_rope_cache_kernel(qkv, q_weight, k_weight, eps, positions, cos_sin, queries, key_cache, value_cache, slot_mapping, k_scale, v_scale,
                              qkv_stride, stride_position, q_stride_token, q_stride_head,
                              kc_stride_block, kc_stride_offset, kc_stride_head, vc_stride_block, vc_stride_offset, vc_stride_head,
                              BLOCK_SIZE: tl.constexpr, NUM_HEADS: tl.constexpr, NUM_KV_HEADS: tl.constexpr, HALF: tl.constexpr,
                              HEADS: tl.constexpr, KV_HEADS: tl.constexpr, COLUMNS: tl.constexpr):
    await_the_kernel_before()
    token = tl.program_id(0).to(tl.int64)
    position, slot = tl.load(positions + token), tl.load(slot_mapping + token)
    q_at, q_mask = heads_of(token, qkv_stride, 2 * HALF, NUM_HEADS, HALF, HEADS, COLUMNS)
    k_at, kv_mask = heads_of(token, qkv_stride, 2 * HALF, NUM_KV_HEADS, HALF, KV_HEADS, COLUMNS)
    k_at += NUM_HEADS * 2 * HALF
    v_at = k_at + NUM_KV_HEADS * 2 * HALF
    # All loads stand before the first store: the compiler moves none across it.
    a = tl.load(qkv + q_at, mask=q_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    b = tl.load(qkv + q_at + HALF, mask=q_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    c = tl.load(qkv + k_at, mask=kv_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    d = tl.load(qkv + k_at + HALF, mask=kv_mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    v = tl.load(qkv + v_at, mask=kv_mask, other=0.0, eviction_policy="evict_first")
    w = tl.load(qkv + v_at + HALF, mask=kv_mask, other=0.0, eviction_policy="evict_first")
    cos, sin = angles_of(position, cos_sin, stride_position, HALF, COLUMNS)

    a, b = normed_halves(a, b, q_weight, eps, HALF, COLUMNS)
    a, b = turned(a, b, cos, sin)
    out_at, _ = heads_of(token, q_stride_token, q_stride_head, NUM_HEADS, HALF, HEADS, COLUMNS)
    tl.store(queries + out_at, a.to(queries.dtype.element_ty), mask=q_mask)
    tl.store(queries + out_at + HALF, b.to(queries.dtype.element_ty), mask=q_mask)

    c, d = normed_halves(c, d, k_weight, eps, HALF, COLUMNS)
    c, d = turned(c, d, cos, sin)
    kv_mask &= slot >= 0    # padding has queries, of no use to anybody, but nothing to remember
    block, offset = slot // BLOCK_SIZE, slot % BLOCK_SIZE
    key_at, _ = heads_of(block, kc_stride_block, kc_stride_head, NUM_KV_HEADS, HALF, KV_HEADS, COLUMNS)
    key_at += offset * kc_stride_offset
    value_at, _ = heads_of(block, vc_stride_block, vc_stride_head, NUM_KV_HEADS, HALF, KV_HEADS, COLUMNS)
    value_at += offset * vc_stride_offset
    tl.store(key_cache + key_at, as_stored(c, k_scale, key_cache), mask=kv_mask)
    tl.store(key_cache + key_at + HALF, as_stored(d, k_scale, key_cache), mask=kv_mask)
    tl.store(value_cache + value_at, as_stored(v, v_scale, value_cache), mask=kv_mask)
    tl.store(value_cache + value_at + HALF, as_stored(w, v_scale, value_cache), mask=kv_mask)


def qk_norm_rope_cache(qkv: torch.Tensor, q_weight: torch.Tensor | None, k_weight: torch.Tensor | None, eps: float, positions: torch.Tensor,
                       cos_sin: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                       num_heads: int, num_kv_heads: int, k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None,
                       out: torch.Tensor | None = None, *, num_warps: int | None = None) -> torch.Tensor:
    """Queries [tokens, heads, D], ready for attention, which is `out` if given; keys and values go into the caches, in place.

    `qkv`: [tokens, (heads + 2 KV heads) * D], float32, bfloat16 or float16, each row contiguous: queries, keys, values.
    `q_weight`, `k_weight`: [D] of the same dtype, or None for no norm. `positions`, `cos_sin`: as for `kernels/rope.py::rope`, padding
    needs a position too. Caches, `slot_mapping` and scales: as for `kernels/cache_write.py::write_cache`.
    Raises `ValueError` on shapes, dtypes and strides it cannot do.
    """
    width = num_heads + 2 * num_kv_heads
    if num_heads < 1 or num_kv_heads < 1 or qkv.dim() != 2 or qkv.shape[1] % width or qkv.stride(1) != 1:
        raise ValueError(f"qkv is {list(qkv.shape)} for {num_heads} heads and {num_kv_heads} KV heads: "
                         f"give [tokens, {width} * D], each row contiguous")
    tokens, head_dim = qkv.shape[0], qkv.shape[1] // width
    check_positions(tokens, head_dim, positions, cos_sin)
    check_cache(qkv.dtype, (tokens, num_kv_heads, head_dim), key_cache, value_cache, slot_mapping, k_scale, v_scale)
    for weight in (q_weight, k_weight):
        if weight is not None and (weight.shape != (head_dim,) or weight.dtype != qkv.dtype or not weight.is_contiguous()):
            raise ValueError(f"a weight is {weight.dtype} {list(weight.shape)}: give {qkv.dtype} {[head_dim]}, contiguous, or None")
    out = torch.empty(tokens, num_heads, head_dim, dtype=qkv.dtype, device=qkv.device) if out is None else out
    if out.shape != (tokens, num_heads, head_dim) or out.dtype != qkv.dtype or out.stride(2) != 1:
        raise ValueError(f"out is {out.dtype} {list(out.shape)}: give {qkv.dtype} {[tokens, num_heads, head_dim]}, each head contiguous")
    if tokens:
        qk_norm_rope_cache_kernel[(tokens,)](
            qkv, q_weight, k_weight, eps, positions, cos_sin, out, key_cache, value_cache, slot_mapping, k_scale, v_scale,
            qkv.stride(0), cos_sin.stride(0), *out.stride()[:2], *key_cache.stride()[:3], *value_cache.stride()[:3],
            BLOCK_SIZE=key_cache.shape[1], **tile_of(num_heads, num_kv_heads, head_dim, num_warps), **EARLY)
    return out


def bytes_min(tokens: int, num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, cache_dtype: torch.dtype | None = None) -> int:
    """Bytes that must move: the product in; queries out, keys and values into the cache; per token angles, a position and a slot."""
    product, queries = (num_heads + 2 * num_kv_heads) * dtype.itemsize, num_heads * dtype.itemsize
    cached = 2 * num_kv_heads * (cache_dtype or dtype).itemsize
    return tokens * ((product + queries + cached + dtype.itemsize) * head_dim + 16)


def flops(tokens: int, num_heads: int, num_kv_heads: int, head_dim: int) -> int:
    """Operations: four for the norm and three for the turn, of every number of queries and keys."""
    return 7 * tokens * (num_heads + num_kv_heads) * head_dim
