"""Fused add and RMS norm: your answer. The problem is in drills/kernels/fused_add_rms_norm/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def fused_add_rms_norm_kernel(x, residual, weight, n, eps, BLOCK: tl.constexpr):
    """residual[row] = x[row] + residual[row], and x[row] = its RMS norm, for one row of n numbers; BLOCK is at least n."""


def fused_add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float) -> None:
    """In place: residual becomes x + residual, x becomes the RMS norm of that times weight.

    x, residual [tokens, n], weight [n], all float32 or all float16; n is 1 to 8192. The norm is computed in float32.
    """
    raise NotImplementedError("fused_add_rms_norm: fused_add_rms_norm is not written yet")
