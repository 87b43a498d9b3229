"""31 halvings, one for each bit but the sign: two neighbouring keys are left, and ties at the upper one all stay."""
import triton
import triton.language as tl

from drills.kernels.top_k.solution import _keys, _launch

FAILS = {"test_exactly_k_of_equal_numbers": "4 should stay"}


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    logits += row * n
    out += row * n
    k = tl.load(ks + row)
    low, high = tl.full([], -(1 << 31), tl.int64), tl.full([], 1 << 31, tl.int64)
    for _ in range(31):
        middle = (low + high) >> 1
        count = tl.zeros([], tl.int32)
        for start in range(0, n, BLOCK):
            key, there = _keys(logits, start, n, BLOCK)
            count += tl.sum(((key >= middle) & there).to(tl.int32), axis=0)
        low, high = tl.where(count >= k, middle, low), tl.where(count >= k, high, middle)
    above = tl.zeros([], tl.int32)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits, start, n, BLOCK)
        above += tl.sum(((key > low) & there).to(tl.int32), axis=0)
    before = tl.zeros([], tl.int32)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits, start, n, BLOCK)
        tie = ((key == low) & there).to(tl.int32)
        keep = (key > low) | ((tie == 1) & (before + tl.cumsum(tie, axis=0) <= k - above))
        before += tl.sum(tie, axis=0)
        column = start + tl.arange(0, BLOCK)
        value = tl.load(logits + column, mask=there, other=0.0)
        tl.store(out + column, tl.where(keep, value, -float("inf")), mask=there)


def top_k(logits, k):
    return _launch(top_k_kernel, logits, k)
