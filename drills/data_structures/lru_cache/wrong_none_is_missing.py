"""Takes a value of None for a missing one."""
from drills.data_structures.lru_cache import solution

FAILS = {"test_any_sequence_of_calls": "yours: returns 'default'", "test_a_value_of_none_is_a_value": "not the same as no value"}


class LRUCache(solution.LRUCache):
    def get(self, key, default=None):
        value = super().get(key)
        return default if value is None else value
