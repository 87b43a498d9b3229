"""Computes the rank as p / 100 * n in floats: 55 % of 20 is 11.000000000000002, which is rounded up to 12."""
import math

from drills.hpc.littles_law.solution import *  # noqa: F403

FAILS = {"test_percentiles_are_measured_values": "must not be above it"}


def percentile(values, p):
    if not values:
        raise ValueError
    return sorted(values)[max(math.ceil(p / 100 * len(values)), 1) - 1]
