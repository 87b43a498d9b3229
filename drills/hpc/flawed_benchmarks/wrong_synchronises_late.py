"""Reads the clock and then waits: the copy runs on while nobody times it."""
import statistics
from itertools import cycle

from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_the_third_is_honest": "times the bandwidth of a device with asynchronous copies"}


def fixed_3(device):
    rotation = cycle(pairs_of(device))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        times.append(device.clock() - start)
        device.synchronize()
    return 2 * SIZE / statistics.median(times)
