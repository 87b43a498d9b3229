"""Counts a multiplication and an addition as one operation, while the machine's data sheet counts two."""
from drills.hpc.roofline.solution import *  # noqa: F403

FAILS = {"test_a_matmul": "each multiplied and added"}


def matmul_work(m, n, k, element_bytes):
    return m * n * k, (m * k + k * n + m * n) * element_bytes
