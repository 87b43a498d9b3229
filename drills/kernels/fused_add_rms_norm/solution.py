"""A program per row: both tensors are read before either is written."""
import torch
import triton
import triton.language as tl


@triton.jit
def fused_add_rms_norm_kernel(x, residual, weight, n, eps, BLOCK: tl.constexpr):
    """residual[row] = x[row] + residual[row], and x[row] = its RMS norm, for one row of n numbers; BLOCK is at least n."""
    at = tl.program_id(0).to(tl.int64) * n
    columns = tl.arange(0, BLOCK)
    mask = columns < n
    added = tl.load(x + at + columns, mask=mask, other=0.0).to(tl.float32)
    total = added + tl.load(residual + at + columns, mask=mask, other=0.0).to(tl.float32)
    weights = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    rounded = total.to(residual.dtype.element_ty)
    tl.store(residual + at + columns, rounded, mask=mask)
    total = rounded.to(tl.float32)      # what the next layer will add to
    scale = tl.rsqrt(tl.sum(total * total, axis=0) / n + eps)
    tl.store(x + at + columns, (total * scale * weights).to(x.dtype.element_ty), mask=mask)


def fused_add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float) -> None:
    """In place: residual becomes x + residual, x becomes the RMS norm of that times weight.

    x, residual [tokens, n], weight [n], all float32 or all float16; n is 1 to 8192. The norm is computed in float32.
    """
    tokens, n = x.shape
    if tokens:
        fused_add_rms_norm_kernel[(tokens,)](x, residual, weight, n, eps, BLOCK=triton.next_power_of_2(n))
