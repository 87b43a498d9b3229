"""Counts the bytes of the buffer: what is copied is read and written."""
from drills.hpc.honest_bandwidth import solution

FAILS = {"test_bytes_are_counted_both_ways": r"0\.50 times", "test_a_copy_returns_before_it_is_done": r"0\.50 times",
         "test_the_first_copies_are_slow": r"0\.50", "test_a_cache_must_not_help": r"0\.50", "test_the_first_use_of_every_buffer_is_slow": r"0\.50",
         "test_some_copies_are_interrupted": r"0\.50", "test_everything_at_once": r"0\.50", "test_it_makes_do_with_little_memory": r"0\.50"}


def measure(device, size, rounds=21):
    return solution.measure(device, size, rounds) / 2
