"""Divides the sum of squares by the length of the block, which is a power of two, not by that of the row."""
import torch
import triton
import triton.language as tl

FAILS = {"test_rows_of_any_length": "2 tokens of 3: 6 of 6 numbers are wrong"}


@triton.jit
def rms_norm_kernel(x, weight, out, n, eps, BLOCK: tl.constexpr):
    columns = tl.arange(0, BLOCK)
    at, mask = tl.program_id(0) * n + columns, columns < n
    values = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, axis=0) / BLOCK + eps)
    tl.store(out + at, (values * scale * tl.load(weight + columns, mask=mask)).to(out.dtype.element_ty), mask=mask)


def rms_norm(x, weight, eps):
    out = torch.empty_like(x)
    if len(x):
        rms_norm_kernel[(len(x),)](x, weight, out, x.shape[1], eps, BLOCK=triton.next_power_of_2(x.shape[1]))
    return out
