"""Adds in float64 and rounds at the end: better numbers, and not those of the float32 order that was asked for."""
import numpy as np

from drills.hpc.summation_order.solution import *  # noqa: F403

FAILS = {"test_sequential": "with each addition rounded to float32", "test_pairwise": "with each addition rounded to float32",
         "test_kahan": "each addition rounded"}


def sequential(x):
    return np.float32(np.sum(x, dtype=np.float64))


pairwise = kahan = sequential
