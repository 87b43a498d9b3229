"""A full cache evicts before it looks whether the key is there already."""
from drills.data_structures.lru_cache import solution

FAILS = {"test_any_sequence_of_calls": "yours: (returns|raises)", "test_a_new_value_for_a_key_pushes_nobody_out": "nobody has to go"}


class LRUCache(solution.LRUCache):
    def put(self, key, value):
        gone = None
        if key in self and len(self) == self.capacity and key not in self._pinned:
            oldest = next(iter(self))
            gone = oldest, self._entries[oldest].value
            self._evictable.remove(self._entries.pop(oldest))
        return super().put(key, value) or gone
