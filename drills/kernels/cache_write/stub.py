"""Cache write: your answer. The problem is in drills/kernels/cache_write/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def cache_write_kernel(key, value, key_cache, value_cache, slot_mapping, size, block_size, block_stride, BLOCK: tl.constexpr):
    """Copy the `size` numbers of a token's key and value into its slot. `block_stride`: from a block of the caches to the next."""


def cache_write(key: torch.Tensor, value: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor) -> None:
    """Copy each token's key and value [tokens, KV heads, D] into its slot of the caches [blocks, block size, KV heads, D], in place.

    slot_mapping int64 [tokens]: block id * block size + place in the block, or -1 for padding. Both caches have the same strides,
    and only that of the blocks may be larger than in a contiguous tensor.
    """
    raise NotImplementedError("cache_write: cache_write is not written yet")
