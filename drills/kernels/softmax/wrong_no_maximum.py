"""Takes exp(x) as it is: it overflows above 88, and is 0 everywhere below -103."""
import torch
import triton
import triton.language as tl

FAILS = {"test_large_numbers": "numbers around 100: .* nan, should be", "test_half_precision": "8192 times .* nan, should be"}


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    x += tl.program_id(0) * n
    out += tl.program_id(0) * n
    columns = tl.arange(0, BLOCK)
    values = tl.load(x + columns, mask=columns < n, other=-float("inf")).to(tl.float32)
    weights = tl.exp(values)
    tl.store(out + columns, (weights / tl.sum(weights, axis=0)).to(out.dtype.element_ty), mask=columns < n)


def softmax(x):
    out = torch.empty_like(x)
    if len(x):
        softmax_kernel[(len(x),)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
    return out
