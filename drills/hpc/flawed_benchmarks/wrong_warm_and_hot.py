"""Warms each length up with the very buffers that it times then: no compilation any more, but a cache full of them."""
import statistics
from itertools import cycle

from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_the_second_is_honest": "times the bandwidth of a device with a cache"}


def fixed_2(device):
    rotation = cycle(pairs_of(device))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    rates = []
    for i in range(ROUNDS):
        nbytes, pair = SIZE - i * 4096 - 4096, next(rotation)
        device.copy(*pair, nbytes)
        device.synchronize()
        start = device.clock()
        device.copy(*pair, nbytes)
        device.synchronize()
        rates.append(2 * nbytes / (device.clock() - start))
    return statistics.median(rates)
