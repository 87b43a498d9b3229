"""Compiles nothing, because it copies one length only: honest, but it does not say any more what the benchmark was to say."""
from drills.hpc.flawed_benchmarks import solution
from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_the_second_is_honest": "the same lengths"}


def fixed_2(device):
    return solution.fixed_1(device)
