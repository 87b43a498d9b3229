"""Top-k without a sort: your answer. The problem is in drills/kernels/top_k/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    """out = logits for the k highest of one row, and -inf for the others."""


def top_k(logits: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """The logits with -inf everywhere but at the k highest of each row, as a new tensor.

    `logits`: float32 [rows, n], contiguous, without NaN and +inf; `k`: int32 [rows], each from 1 to n. Exactly k stay: of equal
    ones at the edge those with the lowest index.
    """
    raise NotImplementedError("top_k: top_k is not written yet")
