"""Masked lanes are loaded as 0, and each of them counts as exp(0 - maximum) in the sum."""
import torch
import triton
import triton.language as tl

FAILS = {"test_rows_of_any_length": "4 rows of 5: .* numbers are wrong", "test_rows_longer_than_a_block": "rows of 8191",
         "test_minus_infinity_becomes_zero": "rows of 7 with -inf", "test_large_numbers": "numbers around -30000",
         "test_half_precision": "float16 rows of 3000"}


@triton.jit
def softmax_kernel(x, out, n, BLOCK: tl.constexpr):
    x += tl.program_id(0) * n
    out += tl.program_id(0) * n
    columns = tl.arange(0, BLOCK)
    values = tl.load(x + columns, mask=columns < n, other=0.0).to(tl.float32)
    weights = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + columns, (weights / tl.sum(weights, axis=0)).to(out.dtype.element_ty), mask=columns < n)


def softmax(x):
    out = torch.empty_like(x)
    if len(x):
        softmax_kernel[(len(x),)](x, out, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
    return out
