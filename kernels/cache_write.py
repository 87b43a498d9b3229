"""Cache write: put each token's keys and values into the slot of the paged cache that is theirs.

A copy with an address in between: slot -> block and offset in it. A program copies a few (token, head) rows. It reads keys and
values without waiting for the slot to arrive, so that nothing but the stores depends on it.

Mirrors `v1/attention/ops/triton_reshape_and_cache_flash.py::triton_reshape_and_cache_flash` and `_custom_ops.py::reshape_and_cache_flash`.
"""
import torch
import triton
import triton.language as tl

LARGEST = 448.0     # of torch.float8_e4m3fn: beyond there is only NaN


def write_cache_twin(keys: torch.Tensor, values: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                     k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """What `write_cache` leaves in both caches, by torch: copies, the originals stay as they are."""
    token = (slot_mapping >= 0).nonzero().squeeze(1)
    block, offset = slot_mapping[token] // key_cache.shape[1], slot_mapping[token] % key_cache.shape[1]
    written = []
    for x, cache, scale in ((keys, key_cache, k_scale), (values, value_cache, v_scale)):
        if cache.dtype == torch.float8_e4m3fn:
            x = (x.float() / (1.0 if scale is None else scale)).clamp(-LARGEST, LARGEST).to(cache.dtype)
        whole = cache.clone()
        as_integers(whole)[block, offset] = as_integers(x[token])   # bits: torch cannot index 8-bit floats
        written.append(whole)
    return written[0], written[1]


def as_integers(x: torch.Tensor) -> torch.Tensor:
    """The same memory, as integers of the same width."""
    return x.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()])


@triton.jit
def as_stored(x, scale, cache):
    """`x` in the precision of `cache`: as it is, or for an 8-bit cache over `scale` (None: 1), and no larger than it can hold."""
    if cache.dtype.element_ty == tl.float8e4nv:
        x = x.to(tl.float32)
        if scale is not None:
            x = tl.div_rn(x, tl.load(scale))    # rounded as by torch and by vLLM: `/` may be off by a bit
        x = tl.clamp(x, -448.0, 448.0, propagate_nan=tl.PropagateNan.ALL)   # a broken number stays broken
    return x.to(cache.dtype.element_ty)


@triton.jit(do_not_specialize=["num_rows"])   # or it would be compiled anew for 1, and for multiples of 16
def write_cache_kernel(keys, values, key_cache, value_cache, slot_mapping, k_scale, v_scale, num_rows,
                       k_stride_token, k_stride_head, v_stride_token, v_stride_head,
                       kc_stride_block, kc_stride_offset, kc_stride_head, vc_stride_block, vc_stride_offset, vc_stride_head,
                       BLOCK_SIZE: tl.constexpr, NUM_KV_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)[None, :]
    token, head = (rows // NUM_KV_HEADS).to(tl.int64), (rows % NUM_KV_HEADS).to(tl.int64)
    mask = (rows < num_rows)[:, None] & (columns < HEAD_DIM)
    key = tl.load(keys + (token * k_stride_token + head * k_stride_head)[:, None] + columns, mask=mask, eviction_policy="evict_first")
    value = tl.load(values + (token * v_stride_token + head * v_stride_head)[:, None] + columns, mask=mask, eviction_policy="evict_first")
    slot = tl.load(slot_mapping + token, mask=rows < num_rows, other=-1)
    mask &= (slot >= 0)[:, None]
    block, offset = slot // BLOCK_SIZE, slot % BLOCK_SIZE
    key_at = block * kc_stride_block + offset * kc_stride_offset + head * kc_stride_head
    value_at = block * vc_stride_block + offset * vc_stride_offset + head * vc_stride_head
    tl.store(key_cache + key_at[:, None] + columns, as_stored(key, k_scale, key_cache), mask=mask)
    tl.store(value_cache + value_at[:, None] + columns, as_stored(value, v_scale, value_cache), mask=mask)


def write_cache(keys: torch.Tensor, values: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None, *,
                rows_per_program: int | None = None, num_warps: int | None = None) -> None:
    """Put `keys` and `values` into the caches, in place.

    `keys`, `values`: [tokens, KV heads, D], float32, bfloat16 or float16. Caches: [blocks, block size, KV heads, D] with any strides but the
    last, of the same dtype, or float8_e4m3fn: then x / scale is stored, scales being float32 tensors of one element (None: 1).
    `slot_mapping`: int64 [tokens], block id * block size + offset in the block; a token whose slot is negative is padding and written nowhere.
    No two tokens may share a slot, and a slot past the cache is written past the cache: nobody looks.
    Raises `ValueError` on shapes, dtypes and strides it cannot do.
    """
    check_cache(keys.dtype, keys.shape, key_cache, value_cache, slot_mapping, k_scale, v_scale)
    if keys.dim() != 3 or values.shape != keys.shape or values.dtype != keys.dtype or keys.stride(2) != 1 or values.stride(2) != 1:
        raise ValueError(f"keys are {keys.dtype} {list(keys.shape)} and values {values.dtype} {list(values.shape)}: "
                         "give [tokens, KV heads, D] of one dtype, each head contiguous")
    tokens, num_kv_heads, head_dim = keys.shape
    if tokens == 0:
        return
    columns = triton.next_power_of_2(head_dim)
    rows = rows_per_program or max(2048 // columns, 1)
    # 32 keys and 32 values a thread: eight 16-byte loads of bfloat16 on their way at once.
    write_cache_kernel[(triton.cdiv(tokens * num_kv_heads, rows),)](
        keys, values, key_cache, value_cache, slot_mapping, k_scale, v_scale, tokens * num_kv_heads,
        *keys.stride()[:2], *values.stride()[:2], *key_cache.stride()[:3], *value_cache.stride()[:3],
        BLOCK_SIZE=key_cache.shape[1], NUM_KV_HEADS=num_kv_heads, HEAD_DIM=head_dim, ROWS=rows, COLUMNS=columns,
        num_warps=num_warps or min(max(rows * columns // 1024, 1), 8))


def bytes_min(tokens: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, cache_dtype: torch.dtype | None = None) -> int:
    """Bytes that must move: keys and values in as `dtype`, out as `cache_dtype` (None: the same), and a slot a token."""
    return tokens * (2 * num_kv_heads * head_dim * (dtype.itemsize + (cache_dtype or dtype).itemsize) + 8)


def check_cache(dtype: torch.dtype, shape: tuple[int, ...], key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                k_scale: torch.Tensor | None, v_scale: torch.Tensor | None) -> None:
    """Raises `ValueError` unless `dtype` [tokens, KV heads, D], which is `shape`, can go into these caches."""
    if key_cache.dim() != 4 or value_cache.shape != key_cache.shape or tuple(key_cache.shape[2:]) != tuple(shape[1:]) or 0 in key_cache.shape[1:]:
        raise ValueError(f"caches are {list(key_cache.shape)} and {list(value_cache.shape)}: "
                         f"give [blocks, block size, KV heads, D] for {list(shape)}")
    if key_cache.stride(3) != 1 or value_cache.stride(3) != 1:
        raise ValueError("numbers of a head must be neighbours in the caches: put another dimension last in no view of them")
    if dtype not in (torch.float32, torch.bfloat16, torch.float16) or any(
            cache.dtype not in (dtype, torch.float8_e4m3fn) or cache.dtype != key_cache.dtype for cache in (key_cache, value_cache)):
        raise ValueError(f"{dtype} cannot go into caches of {key_cache.dtype} and {value_cache.dtype}: "
                         "give float32, bfloat16 or float16, and caches of the same or of float8_e4m3fn")
    if slot_mapping.dtype != torch.int64 or tuple(slot_mapping.shape) != (shape[0],) or not slot_mapping.is_contiguous():
        raise ValueError(f"slot_mapping is {slot_mapping.dtype} {list(slot_mapping.shape)}: give int64 {[shape[0]]}, contiguous")
    for scale in (k_scale, v_scale):
        if scale is not None and (key_cache.dtype != torch.float8_e4m3fn or scale.dtype != torch.float32 or scale.numel() != 1):
            raise ValueError(f"a scale is {scale.dtype} {list(scale.shape)} for caches of {key_cache.dtype}: "
                             "give one float32 number for float8_e4m3fn, and None for everything else")
