"""Stores the last block as a whole: what lies behind the vector is overwritten."""
import torch
import triton
import triton.language as tl

FAILS = {"test_the_sum": "beyond the end"}


@triton.jit
def vector_add_kernel(x, y, out, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + offsets, tl.load(x + offsets) + tl.load(y + offsets))


def vector_add(x, y):
    out = torch.empty_like(x)
    if len(x):
        vector_add_kernel[(triton.cdiv(len(x), 1024),)](x, y, out, BLOCK=1024)
    return out
