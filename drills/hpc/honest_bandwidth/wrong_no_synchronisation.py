"""Reads the clock when the copy has been queued: it times the launch."""
import statistics
from itertools import cycle

FAILS = {"test_a_copy_returns_before_it_is_done": "still copying", "test_the_first_copies_are_slow": "times that", "test_a_cache_must_not_help": "times that",
         "test_the_first_use_of_every_buffer_is_slow": "times that", "test_some_copies_are_interrupted": "times that", "test_everything_at_once": "times that",
         "test_it_makes_do_with_little_memory": "times that"}


def measure(device, size, rounds=21):
    pairs = cycle([(device.allocate(size), device.allocate(size)) for _ in range(device.cache_bytes // (2 * size) + 1)])
    for _ in range(400):
        device.copy(*next(pairs))
    device.synchronize()
    times = []
    for _ in range(rounds):
        start = device.clock()
        device.copy(*next(pairs))
        times.append(device.clock() - start)
    return 2 * size / statistics.median(times)
