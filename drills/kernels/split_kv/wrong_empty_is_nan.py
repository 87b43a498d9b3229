"""Trusts that an empty split weighs 0: 0 times what nobody has written is NaN, and so is -inf - -inf if all are empty."""
import triton
import triton.language as tl

from drills.kernels.split_kv.solution import _merge, attend_splits

FAILS = {"test_empty_splits": "0 tokens in 2 splits.*nan", "test_merging_with_empty_splits": r"of which \[0\] are not empty.*nan"}


@triton.jit
def merge_splits_kernel(partial, highest, total, out, splits, heads, D: tl.constexpr, PADDED_D: tl.constexpr, SPLITS: tl.constexpr):
    head, split, column = tl.program_id(0), tl.arange(0, SPLITS), tl.arange(0, PADDED_D)
    place = split * heads + head
    its_highest = tl.load(highest + place, mask=split < splits, other=-float("inf"))
    factor = tl.exp(its_highest - tl.max(its_highest, axis=0))
    parts = tl.load(partial + place[:, None] * D + column[None, :], mask=(split < splits)[:, None] & (column < D)[None, :], other=0.0)
    weight = tl.sum(tl.load(total + place, mask=split < splits, other=0.0) * factor, axis=0)
    tl.store(out + head * D + column, tl.sum(parts * factor[:, None], axis=0) / weight, mask=column < D)


def merge_splits(partial, highest, total):
    return _merge(merge_splits_kernel, partial, highest, total)


def split_kv(query, keys, values, length, splits):
    return merge_splits(*attend_splits(query, keys, values, length, splits))
