"""When a later block has a larger maximum, the sum so far stays as it was: it counts in units of the old maximum."""
import torch
import triton
import triton.language as tl

FAILS = {"test_rows_longer_than_a_block": "rows of 4096",
         "test_a_row_that_begins_with_thousands_of_minus_infinity": "begin with -inf"}


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    x += tl.program_id(0) * n
    out += tl.program_id(0) * n
    largest, total = -float("inf"), 0.0
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n, other=-float("inf")).to(tl.float32)
        largest = tl.maximum(largest, tl.max(values, axis=0))
        total += tl.sum(tl.exp(values - tl.maximum(largest, -1e30)), axis=0)
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n).to(tl.float32)
        tl.store(out + columns, (tl.exp(values - largest) / total).to(out.dtype.element_ty), mask=columns < n)


def softmax(x):
    out = torch.empty_like(x)
    if len(x):
        softmax_kernel[(len(x),)](x, out, x.shape[1], BLOCK=min(triton.next_power_of_2(x.shape[1]), 1024))
    return out
