"""Divides the values by the scale of the keys."""
from drills.kernels.fp8_cache_write import solution

FAILS = {"test_a_number_is_divided_by_its_scale": "value_cache, slot 1: 1 with the scale 8 is stored as 2, should be 0.125",
         "test_what_is_too_large_becomes_the_largest": "value_cache, slot 4: 256 with the scale 0.5 is stored as 128, should be 448",
         "test_the_nearest_number_is_stored": "with the scale 2 is stored as"}


def fp8_cache_write(key, value, key_cache, value_cache, slot_mapping, k_scale, v_scale):
    solution.fp8_cache_write(key, value, key_cache, value_cache, slot_mapping, k_scale, k_scale)
