"""Numbers equal values anew in each block, so that every block keeps as many as the row may."""
import triton
import triton.language as tl

from drills.kernels.top_k.solution import _find, _keys, _launch

FAILS = {"test_equal_numbers_in_several_blocks": "row 0, k 300: 300 should stay"}


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    row, k = tl.program_id(0), tl.load(ks + tl.program_id(0))
    threshold, above = _find(logits + row * n, n, k, BLOCK)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits + row * n, start, n, BLOCK)
        tie = ((key == threshold) & there).to(tl.int32)
        keep = (key > threshold) | ((tie == 1) & (tl.cumsum(tie, axis=0) <= k - above))
        place = row * n + start + tl.arange(0, BLOCK)
        tl.store(out + place, tl.where(keep, tl.load(logits + place, mask=there), -float("inf")), mask=there)


def top_k(logits, k):
    return _launch(top_k_kernel, logits, k)
