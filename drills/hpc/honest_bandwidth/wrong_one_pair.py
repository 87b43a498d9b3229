"""Copies between the same two buffers again and again: the second time they come from the cache."""
import statistics

from drills.hpc.honest_bandwidth.solution import _seconds

FAILS = {"test_a_cache_must_not_help": "holds what was copied a moment ago", "test_everything_at_once": "all of it",
         "test_it_makes_do_with_little_memory": "times that", "test_the_first_use_of_every_buffer_is_slow": "times that"}


def measure(device, size, rounds=21):
    target, source = device.allocate(size), device.allocate(size)
    for _ in range(50):
        device.copy(target, source)
    return 2 * size / statistics.median(_seconds(device, target, source) for _ in range(rounds))
