"""Multiplies in the dtype of x: in float16, 127 * 600 is infinite."""
import torch
import triton
import triton.language as tl

from drills.kernels.dequantising_gemv.solution import int4_gemv  # noqa: F401

FAILS = {"test_half_precision": "int8 weights of 127"}


@triton.jit
def int8_gemv_kernel(weights, scales, x, out, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n, BLOCK):
        column = start + tl.arange(0, BLOCK)
        weight = tl.load(weights + row * n + column, mask=column < n, other=0)
        total += weight.to(x.dtype.element_ty) * tl.load(x + column, mask=column < n, other=0)
    tl.store(out + row, (tl.sum(total, axis=0) * tl.load(scales + row)).to(out.dtype.element_ty))


def int8_gemv(weights, scales, x):
    out = torch.empty(len(weights), dtype=x.dtype, device=x.device)
    if len(weights):
        int8_gemv_kernel[(len(weights),)](weights, scales, x, out, len(x), BLOCK=512)
    return out
