"""Gives each split K // splits numbers: the rest is nobody's."""
import torch

from drills.kernels.tiled_matmul.solution import tiled_matmul

FAILS = {"test_k_that_does_not_divide": r"\[2, 129\] @ \[129, 3\] in 2 splits", "test_more_splits_than_there_is_to_do": r"\[2, 1\] @ \[1, 3\] in 2 splits",
         "test_half_precision": "in 3 splits"}


def split_k(a, b, splits):
    length = a.shape[1] // splits
    partial = [tiled_matmul(a[:, i * length:(i + 1) * length].float().contiguous(), b[i * length:(i + 1) * length].float().contiguous())
               for i in range(splits)]
    return torch.stack(partial).sum(0).to(a.dtype)
