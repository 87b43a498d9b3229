"""Takes a number of buffers that is enough for the cache at hand, and not for a larger one."""
import statistics
from itertools import cycle

from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_the_sixth_is_honest": "a larger cache"}


def fixed_6(device):
    rotation = cycle([(device.allocate(SIZE), device.allocate(SIZE)) for _ in range(8)])
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)
