"""Reading a value does not make it recent: a queue, not an LRU cache."""
from drills.data_structures.lru_cache import solution

FAILS = {"test_any_sequence_of_calls": "yours: returns", "test_the_least_recently_used_goes": "b is the least recently used"}


class LRUCache(solution.LRUCache):
    def get(self, key, default=None):
        return self._entries[key].value if key in self._entries else default
