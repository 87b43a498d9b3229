"""Gives every split length // splits tokens: the last few belong to nobody."""
import torch

from drills.kernels.split_kv import solution
from drills.kernels.split_kv.solution import merge_splits

FAILS = {"test_any_length_and_number_of_splits": "1 tokens in 2 splits", "test_what_each_split_leaves": "11 tokens in 3 splits: .* of split 0",
         "test_empty_splits": "5 tokens in 4 splits", "test_beyond_the_length_is_anything": "5 tokens in 2 splits",
         "test_half_precision_and_other_shapes": "1 heads of 8"}


def attend_splits(query, keys, values, length, splits):
    return solution.attend_splits(query, keys, values, torch.div(length, splits, rounding_mode="floor").int() * splits, splits)


def split_kv(query, keys, values, length, splits):
    return merge_splits(*attend_splits(query, keys, values, length, splits))
