"""Divides the sum of the parts by the sum of their totals, though each counts from a highest score of its own."""
import triton
import triton.language as tl

from drills.kernels.split_kv.solution import _merge, attend_splits

FAILS = {"test_any_length_and_number_of_splits": "4 tokens in 2 splits", "test_empty_splits": "5 tokens in 4 splits",
         "test_merging": r"highest scores \[1.0, 3.0\]", "test_beyond_the_length_is_anything": "5 tokens in 2 splits",
         "test_half_precision_and_other_shapes": "1 heads of 8"}


@triton.jit
def merge_splits_kernel(partial, highest, total, out, splits, heads, D: tl.constexpr, PADDED_D: tl.constexpr, SPLITS: tl.constexpr):
    head, split, column = tl.program_id(0), tl.arange(0, SPLITS), tl.arange(0, PADDED_D)
    place = split * heads + head
    its_total = tl.load(total + place, mask=split < splits, other=0.0)
    parts = tl.load(partial + place[:, None] * D + column[None, :], mask=(its_total > 0)[:, None] & (column < D)[None, :], other=0.0)
    weight = tl.sum(its_total, axis=0)
    tl.store(out + head * D + column, tl.sum(parts, axis=0) / tl.where(weight > 0, weight, 1.0), mask=column < D)


def merge_splits(partial, highest, total):
    return _merge(merge_splits_kernel, partial, highest, total)


def split_kv(query, keys, values, length, splits):
    return merge_splits(*attend_splits(query, keys, values, length, splits))
