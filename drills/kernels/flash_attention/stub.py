"""Flash attention: your answer. The problem is in drills/kernels/flash_attention/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def flash_attention_kernel(q, k, v, out, length, scale, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """Causal attention of TILE queries of one head. PADDED_D: the power of two that D fits in, at least 16."""


def flash_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention with scale 1 / sqrt(D): [heads, length, D], of q's dtype.

    `q`, `k`, `v`: [heads, length, D], float32 or float16, contiguous; D up to 128. Token i sees the tokens 0 to i.
    """
    raise NotImplementedError("flash_attention: flash_attention is not written yet")
