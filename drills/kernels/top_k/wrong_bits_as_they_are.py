"""Compares the bits of floats as integers: negative numbers are in the wrong order."""
import triton
import triton.language as tl

from drills.kernels.top_k.solution import _launch

FAILS = {"test_any_k": "rows of 5: row 1", "test_rows_longer_than_a_block": "a row of 1300", "test_negative_numbers": "a row of 7 below -1",
         "test_exactly_k_of_equal_numbers": "zeros of both signs", "test_any_distance_between_numbers": "row 1, k 9",
         "test_minus_infinity": "a row of 20, 14"}


@triton.jit
def _keys(row, start, n, BLOCK: tl.constexpr):
    column = start + tl.arange(0, BLOCK)
    return tl.load(row + column, mask=column < n, other=-float("inf")).to(tl.int32, bitcast=True).to(tl.int64), column < n


@triton.jit
def _find(row, n, k, BLOCK: tl.constexpr):
    threshold = tl.full([], -(1 << 31), tl.int64)
    above = tl.zeros([], tl.int32)
    width = tl.full([], 1 << 28, tl.int64)
    while width > 0:
        candidates = threshold + tl.arange(0, 16) * width
        counts = tl.zeros([16], tl.int32)
        for start in range(0, n, BLOCK):
            key, there = _keys(row, start, n, BLOCK)
            counts += tl.sum(((key[None, :] >= candidates[:, None]) & there[None, :]).to(tl.int32), axis=1)
        above = tl.max(tl.where(counts < k, counts, above), axis=0)
        threshold += (tl.sum((counts >= k).to(tl.int32), axis=0) - 1) * width
        width = width >> 4
    return threshold, above


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    row, k = tl.program_id(0), tl.load(ks + tl.program_id(0))
    threshold, above = _find(logits + row * n, n, k, BLOCK)
    ties_before = tl.zeros([], tl.int32)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits + row * n, start, n, BLOCK)
        tie = ((key == threshold) & there).to(tl.int32)
        keep = (key > threshold) | ((tie == 1) & (ties_before + tl.cumsum(tie, axis=0) <= k - above))
        ties_before += tl.sum(tie, axis=0)
        place = row * n + start + tl.arange(0, BLOCK)
        tl.store(out + place, tl.where(keep, tl.load(logits + place, mask=there), -float("inf")), mask=there)


def top_k(logits, k):
    return _launch(top_k_kernel, logits, k)
