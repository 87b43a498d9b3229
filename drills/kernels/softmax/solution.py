"""A program per row, which walks along it twice: for its maximum and sum, and to write."""
import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    """out[row] = softmax(x[row]) for one row of n numbers, a block of it at a time."""
    row = tl.program_id(0).to(tl.int64)
    x += row * n
    out += row * n
    largest, total = -float("inf"), 0.0
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n, other=-float("inf")).to(tl.float32)
        new = tl.maximum(largest, tl.max(values, axis=0))
        # While everything was -inf, there is nothing to subtract: -inf - -inf is not a number.
        shift = tl.where(new == -float("inf"), 0.0, new)
        total = total * tl.exp(largest - shift) + tl.sum(tl.exp(values - shift), axis=0)
        largest = new
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.load(x + columns, mask=columns < n, other=-float("inf")).to(tl.float32)
        tl.store(out + columns, (tl.exp(values - largest) / total).to(out.dtype.element_ty), mask=columns < n)


def softmax(x: torch.Tensor) -> torch.Tensor:
    """exp(x) over its sum for each row of x [rows, n], float32 or float16, n from 1 to 8192, as a new tensor of the same dtype.

    Computed in float32. Numbers may be large and some may be -inf, which become exactly 0, but not all of a row.
    """
    out = torch.empty_like(x)
    rows, n = x.shape
    if rows:
        softmax_kernel[(rows,)](x, out, n, BLOCK=min(triton.next_power_of_2(n), 2048))
    return out
