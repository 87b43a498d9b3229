"""Launches n // BLOCK programs: the numbers after the last whole block are never written."""
import torch

from drills.kernels.vector_add.solution import vector_add_kernel

FAILS = {"test_the_sum": r"n = 1: 1 of 1 numbers are wrong"}


def vector_add(x, y):
    out = torch.full_like(x, float("nan"))
    if len(x) >= 1024:
        vector_add_kernel[(len(x) // 1024,)](x, y, out, len(x), BLOCK=1024)
    return out
