"""Warms up with three copies, as everybody does: this device is slow for longer."""
import statistics
from itertools import cycle

from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_the_fifth_is_honest": "times the bandwidth of a device with slow first copies"}


def fixed_5(device):
    rotation = cycle(pairs_of(device))
    for _ in range(3):
        device.copy(*next(rotation))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)
