"""Multiplies by the scale: that is for who reads the cache."""
from drills.kernels.fp8_cache_write import solution

FAILS = {"test_a_number_is_divided_by_its_scale": "1 with the scale 2 is stored as 2, should be 0.5",
         "test_what_is_too_large_becomes_the_largest": "640 with the scale 2 is stored as 448, should be 320",
         "test_the_nearest_number_is_stored": "with the scale 2 is stored as"}


def fp8_cache_write(key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale):
    solution.fp8_cache_write(key, value, key_cache, value_cache, slot_mapping, 1 / k_scale, 1 / v_scale)
