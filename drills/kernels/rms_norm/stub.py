"""RMS norm: your answer. The problem is in drills/kernels/rms_norm/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def rms_norm_kernel(x, weight, out, n, eps, BLOCK: tl.constexpr):
    """out[row] = x[row] / sqrt(mean(x[row] ** 2) + eps) * weight for one row of n numbers; BLOCK is at least n."""


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x over the root mean square of its row, times weight, as a new tensor: x [tokens, n], weight [n], float32 or float16.

    n is 1 to 8192. Computed in float32, rounded at the end.
    """
    raise NotImplementedError("rms_norm: rms_norm is not written yet")
