"""Interpolates between two ranks: a number between two measured ones, which nobody has waited for."""
import numpy as np

from drills.hpc.littles_law.solution import *  # noqa: F403

FAILS = {"test_percentiles": "2 values .1, 2.: 1 is the smallest", "test_percentiles_are_measured_values": "was never measured"}


def percentile(values, p):
    if not values:
        raise ValueError
    return float(np.percentile(values, p))
