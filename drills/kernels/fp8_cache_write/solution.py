"""The cache write with a division, a clamp and a cast on the way."""
import torch
import triton
import triton.language as tl


@triton.jit
def _quantised(x, scale, cache):
    """x / scale as the cache stores it. A NaN is kept: a broken number must not look like a large one."""
    x = tl.clamp(x.to(tl.float32) / scale, -448.0, 448.0, propagate_nan=tl.PropagateNan.ALL)
    return x.to(cache.dtype.element_ty)


@triton.jit
def fp8_cache_write_kernel(key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale, size, BLOCK: tl.constexpr):
    """Write the `size` numbers of a token's key and value, over their scales, into its slot."""
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slot_mapping + token)
    if slot >= 0:
        of_keys, of_values = tl.load(k_scale), tl.load(v_scale)
        for start in range(0, size, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            mask = columns < size
            keys = tl.load(key + token * size + columns, mask=mask, other=0.0)
            values = tl.load(value + token * size + columns, mask=mask, other=0.0)
            tl.store(key_cache + slot * size + columns, _quantised(keys, of_keys, key_cache), mask=mask)
            tl.store(value_cache + slot * size + columns, _quantised(values, of_values, value_cache), mask=mask)


def fp8_cache_write(key: torch.Tensor, value: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                    k_scale: torch.Tensor, v_scale: torch.Tensor) -> None:
    """Write each token's key / k_scale and value / v_scale into its slot of the float8_e4m3fn caches, in place.

    key, value [tokens, KV heads, D], float32 or float16; caches [blocks, block size, KV heads, D], contiguous; slot_mapping int64 [tokens],
    -1 for padding; scales float32 [1], positive. What is larger than 448 becomes 448, and NaN stays NaN.
    """
    tokens, kv_heads, head_dim = key.shape
    if tokens:
        size = kv_heads * head_dim
        fp8_cache_write_kernel[(tokens,)](key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale, size,
                                          BLOCK=min(triton.next_power_of_2(size), 1024))
