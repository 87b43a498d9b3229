"""Keeps everything that is as high as the k-th: more than k, if some are equal."""
import triton
import triton.language as tl

from drills.kernels.top_k.solution import _find, _keys, _launch

FAILS = {"test_exactly_k_of_equal_numbers": "row 0, k 3: 3 should stay, .* and 5 do", "test_equal_numbers_in_several_blocks": "and 1300 do"}


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    row, k = tl.program_id(0), tl.load(ks + tl.program_id(0))
    threshold, above = _find(logits + row * n, n, k, BLOCK)
    for start in range(0, n, BLOCK):
        key, there = _keys(logits + row * n, start, n, BLOCK)
        keep = key >= threshold
        place = row * n + start + tl.arange(0, BLOCK)
        tl.store(out + place, tl.where(keep, tl.load(logits + place, mask=there), -float("inf")), mask=there)


def top_k(logits, k):
    return _launch(top_k_kernel, logits, k)
