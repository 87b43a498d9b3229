"""Takes the upper half of a byte for the even column: neighbouring weights change places."""
import torch
import triton
import triton.language as tl

from drills.kernels.dequantising_gemv.solution import int8_gemv  # noqa: F401

FAILS = {"test_int4": "1 rows of 2 int4 weights", "test_each_int4_weight_is_where_it_belongs": "column 0 was read as"}


@triton.jit
def int4_gemv_kernel(packed, scales, x, out, n, group_size, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n, BLOCK):
        column = start + tl.arange(0, BLOCK)
        byte = tl.load(packed + row * (n // 2) + column // 2, mask=column < n, other=0).to(tl.int32)
        weight = (byte >> (4 - column % 2 * 4) & 15) - 8
        scale = tl.load(scales + row * (n // group_size) + column // group_size, mask=column < n, other=0)
        total += weight.to(tl.float32) * scale * tl.load(x + column, mask=column < n, other=0).to(tl.float32)
    tl.store(out + row, tl.sum(total, axis=0).to(out.dtype.element_ty))


def int4_gemv(packed, scales, x):
    out = torch.empty(len(packed), dtype=x.dtype, device=x.device)
    if len(packed):
        int4_gemv_kernel[(len(packed),)](packed, scales, x, out, len(x), len(x) // scales.shape[1], BLOCK=512)
    return out
