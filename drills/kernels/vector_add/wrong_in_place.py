"""Adds into the first vector: whoever still needs x has the sum instead."""
import triton

from drills.kernels.vector_add.solution import vector_add_kernel

FAILS = {"test_the_vectors_stay_as_they_are": "x was changed"}


def vector_add(x, y):
    if len(x):
        vector_add_kernel[(triton.cdiv(len(x), 1024),)](x, y, x, len(x), BLOCK=1024)
    return x
