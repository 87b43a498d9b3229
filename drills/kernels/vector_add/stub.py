"""Vector add: your answer. The problem is in drills/kernels/vector_add/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def vector_add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    """out = x + y for one block of the n numbers."""


def vector_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum of two vectors [n] of one dtype."""
    raise NotImplementedError("vector_add: vector_add is not written yet")
