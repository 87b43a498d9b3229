"""Takes the mean: two interruptions make it twice as long."""
from itertools import cycle

from drills.hpc.honest_bandwidth.solution import _seconds

FAILS = {"test_some_copies_are_interrupted": "one copy in ten is interrupted", "test_everything_at_once": "all of it"}


def measure(device, size, rounds=21):
    rotation = cycle([(device.allocate(size), device.allocate(size)) for _ in range(device.cache_bytes // (2 * size) + 1)])
    for _ in range(400):
        device.copy(*next(rotation))
    return 2 * size / (sum(_seconds(device, *next(rotation)) for _ in range(rounds)) / rounds)
