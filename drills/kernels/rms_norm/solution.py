"""A program per row, which it holds as a whole: read once, written once."""
import torch
import triton
import triton.language as tl


@triton.jit
def rms_norm_kernel(x, weight, out, n, eps, BLOCK: tl.constexpr):
    """out[row] = x[row] / sqrt(mean(x[row] ** 2) + eps) * weight for one row of n numbers; BLOCK is at least n."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    mask = columns < n
    values = tl.load(x + row * n + columns, mask=mask, other=0.0).to(tl.float32)
    weights = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, axis=0) / n + eps)
    tl.store(out + row * n + columns, (values * scale * weights).to(out.dtype.element_ty), mask=mask)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x over the root mean square of its row, times weight, as a new tensor: x [tokens, n], weight [n], float32 or float16.

    n is 1 to 8192. Computed in float32, rounded at the end.
    """
    out = torch.empty_like(x)
    tokens, n = x.shape
    if tokens:
        rms_norm_kernel[(tokens,)](x, weight, out, n, eps, BLOCK=triton.next_power_of_2(n))
    return out
