"""FP8 cache write: your answer. The problem is in drills/kernels/fp8_cache_write/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def fp8_cache_write_kernel(key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale, size, BLOCK: tl.constexpr):
    """Write the `size` numbers of a token's key and value, over their scales, into its slot."""


def fp8_cache_write(key: torch.Tensor, value: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, slot_mapping: torch.Tensor,
                    k_scale: torch.Tensor, v_scale: torch.Tensor) -> None:
    """Write each token's key / k_scale and value / v_scale into its slot of the float8_e4m3fn caches, in place.

    key, value [tokens, KV heads, D], float32 or float16; caches [blocks, block size, KV heads, D], contiguous; slot_mapping int64 [tokens],
    -1 for padding; scales float32 [1], positive. What is larger than 448 becomes 448, and NaN stays NaN.
    """
    raise NotImplementedError("fp8_cache_write: fp8_cache_write is not written yet")
