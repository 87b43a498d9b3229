"""Observes the whole life of each request, also what lies outside of the time that is observed."""
from drills.hpc.littles_law.solution import *  # noqa: F403

FAILS = {"test_the_mean_in_the_system": "on average, not"}


def mean_in_system(arrivals, ends, start, end):
    return sum(gone - came for came, gone in zip(arrivals, ends)) / (end - start)
