"""SiLU and multiply: your answer. The problem is in drills/kernels/silu_and_mul/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def silu_and_mul_kernel(x, out, n, BLOCK: tl.constexpr):
    """out[row] = silu(x[row, :n]) * x[row, n:] for one row and one block of the n columns."""


def silu_and_mul(x: torch.Tensor) -> torch.Tensor:
    """silu(x[:, :n]) * x[:, n:] of x [tokens, 2 n], float32 or float16, as a new tensor [tokens, n]. Computed in float32."""
    raise NotImplementedError("silu_and_mul: silu_and_mul is not written yet")
