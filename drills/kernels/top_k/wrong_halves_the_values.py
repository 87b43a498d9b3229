"""Halves the interval between the lowest and the highest value 20 times, and takes that for enough: close numbers count as equal."""
import triton
import triton.language as tl

from drills.kernels.top_k.solution import _launch

FAILS = {"test_any_distance_between_numbers": r"row \d, k \d"}


@triton.jit
def _keys(row, start, n, BLOCK: tl.constexpr):
    column = start + tl.arange(0, BLOCK)
    return tl.load(row + column, mask=column < n, other=-float("inf")), column < n


@triton.jit
def _count(row, n, threshold, BLOCK: tl.constexpr):
    count = tl.zeros([], tl.int32)
    for start in range(0, n, BLOCK):
        value, there = _keys(row, start, n, BLOCK)
        count += tl.sum((there & (value >= threshold)).to(tl.int32), axis=0)
    return count


@triton.jit
def _find(row, n, k, BLOCK: tl.constexpr):
    low, high = tl.full([], float("inf"), tl.float32), tl.full([], -float("inf"), tl.float32)
    for start in range(0, n, BLOCK):
        value, _ = _keys(row, start, n, BLOCK)
        low = tl.minimum(low, tl.min(tl.where(value > -float("inf"), value, float("inf")), axis=0))
        high = tl.maximum(high, tl.max(value, axis=0))
    high += tl.abs(high) * 1e-6 + 1e-30      # nothing reaches it
    if _count(row, n, low, BLOCK) < k:      # fewer than k are left at all
        low, high = -float("inf"), low
    for _ in range(20):
        middle = low / 2 + high / 2
        enough = _count(row, n, middle, BLOCK) >= k
        low, high = tl.where(enough, middle, low), tl.where(enough, high, middle)
    return low, high


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    row, k = tl.program_id(0), tl.load(ks + tl.program_id(0))
    low, high = _find(logits + row * n, n, k, BLOCK)
    above = _count(logits + row * n, n, high, BLOCK)
    ties_before = tl.zeros([], tl.int32)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits + row * n, start, n, BLOCK)
        tie = ((key >= low) & (key < high) & there).to(tl.int32)
        keep = (key >= high) | ((tie == 1) & (ties_before + tl.cumsum(tie, axis=0) <= k - above))
        ties_before += tl.sum(tie, axis=0)
        place = row * n + start + tl.arange(0, BLOCK)
        tl.store(out + place, tl.where(keep, tl.load(logits + place, mask=there), -float("inf")), mask=there)


def top_k(logits, k):
    return _launch(top_k_kernel, logits, k)
