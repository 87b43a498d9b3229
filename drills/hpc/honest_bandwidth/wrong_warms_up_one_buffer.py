"""Warms up with the first pair alone: the others are used for the first time while they are timed."""
import statistics
from itertools import cycle

from drills.hpc.honest_bandwidth.solution import _seconds

FAILS = {"test_the_first_use_of_every_buffer_is_slow": "each of the buffers in turn"}


def measure(device, size, rounds=21):
    pairs = [(device.allocate(size), device.allocate(size)) for _ in range(device.cache_bytes // (2 * size) + 1)]
    for _ in range(50):
        device.copy(*pairs[0])
    rotation = cycle(pairs[1:] + pairs[:1])
    return 2 * size / statistics.median(_seconds(device, *next(rotation)) for _ in range(rounds))
