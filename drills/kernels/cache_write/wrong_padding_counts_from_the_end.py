"""Wraps slot -1 round to the last slot, as Python's lists do: padding overwrites what is there."""
from drills.kernels.cache_write import solution

FAILS = {"test_padding_is_written_nowhere": "slot 1, which is nobody's", "test_half_precision": "slot 7, which is nobody's"}


def cache_write(key, value, key_cache, value_cache, slot_mapping):
    slots = key_cache.shape[0] * key_cache.shape[1]
    solution.cache_write(key, value, key_cache, value_cache, slot_mapping % slots)
