"""Softmax: your answer. The problem is in drills/kernels/softmax/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    """out[row] = softmax(x[row]) for one row of n numbers, a block of it at a time."""


def softmax(x: torch.Tensor) -> torch.Tensor:
    """exp(x) over its sum for each row of x [rows, n], float32 or float16, n from 1 to 8192, as a new tensor of the same dtype.

    Computed in float32. Numbers may be large and some may be -inf, which become exactly 0, but not all of a row.
    """
    raise NotImplementedError("softmax: softmax is not written yet")
