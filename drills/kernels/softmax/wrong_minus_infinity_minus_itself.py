"""The running maximum starts at -inf, and a first block of nothing else gives exp(-inf - -inf): not a number, and so is all that follows."""
import torch
import triton
import triton.language as tl

FAILS = {"test_a_row_that_begins_with_thousands_of_minus_infinity": "nan, should be"}


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    x += tl.program_id(0) * n
    out += tl.program_id(0) * n
    largest, total = -float("inf"), 0.0
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n, other=-float("inf")).to(tl.float32)
        new = tl.maximum(largest, tl.max(values, axis=0))
        total = total * tl.exp(largest - new) + tl.sum(tl.exp(values - new), axis=0)
        largest = new
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n).to(tl.float32)
        tl.store(out + columns, (tl.exp(values - largest) / total).to(out.dtype.element_ty), mask=columns < n)


def softmax(x):
    out = torch.empty_like(x)
    if len(x):
        softmax_kernel[(len(x),)](x, out, x.shape[1], BLOCK=min(triton.next_power_of_2(x.shape[1]), 2048))
    return out
