"""A program per token: it looks up the slot, and copies the token's heads as one run of numbers."""
import torch
import triton
import triton.language as tl


@triton.jit
def cache_write_kernel(key, value, key_cache, value_cache, slot_mapping, size, block_size, block_stride, BLOCK: tl.constexpr):
    """Copy the `size` numbers of a token's key and value into its slot. `block_stride`: from a block of the caches to the next."""
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slot_mapping + token)
    if slot >= 0:
        source = token * size
        target = slot // block_size * block_stride + slot % block_size * size
        for start in range(0, size, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            mask = columns < size
            tl.store(key_cache + target + columns, tl.load(key + source + columns, mask=mask), mask=mask)
            tl.store(value_cache + target + columns, tl.load(value + source + columns, mask=mask), mask=mask)


def cache_write(key: torch.Tensor, value: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor) -> None:
    """Copy each token's key and value [tokens, KV heads, D] into its slot of the caches [blocks, block size, KV heads, D], in place.

    slot_mapping int64 [tokens]: block id * block size + place in the block, or -1 for padding. Both caches have the same strides,
    and only that of the blocks may be larger than in a contiguous tensor.
    """
    tokens, kv_heads, head_dim = key.shape
    if tokens:
        size = kv_heads * head_dim
        cache_write_kernel[(tokens,)](key, value, key_cache, value_cache, slot_mapping, size, key_cache.shape[1], key_cache.stride(0),
                                      BLOCK=min(triton.next_power_of_2(size), 1024))
