"""Pinned entries stay in the order and are skipped when one has to go: right, and linear in their number."""
from collections import OrderedDict

FAILS = {"test_a_call_costs_the_same_whatever_the_capacity": "looks at every entry"}


class LRUCache:
    def __init__(self, capacity):
        if capacity < 1:
            raise ValueError
        self.capacity, self.values, self.pinned = capacity, OrderedDict(), set()

    def __len__(self):
        return len(self.values)

    def __contains__(self, key):
        return key in self.values

    def __iter__(self):
        for key in self.values:
            if key not in self.pinned:
                yield key

    def get(self, key, default=None):
        if key not in self.values:
            return default
        self.values.move_to_end(key)
        return self.values[key]

    def put(self, key, value):
        gone = None
        if key not in self.values and len(self.values) == self.capacity:
            oldest = next(iter(self), None)
            if oldest is None:
                raise RuntimeError
            gone = oldest, self.values.pop(oldest)
        self.values[key] = value
        self.values.move_to_end(key)
        return gone

    def pin(self, key):
        self.values[key]
        self.pinned.add(key)

    def unpin(self, key):
        self.values[key]
        if key in self.pinned:
            self.pinned.remove(key)
            self.values.move_to_end(key)
