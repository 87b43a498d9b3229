"""Negative indices count from the end of the array, not from the newest value."""
from drills.data_structures.ring_buffer import solution

FAILS = {"test_any_sequence_of_calls": r"yours: (returns|raises)", "test_the_newest_is_at_minus_one": "newest"}


class RingBuffer(solution.RingBuffer):
    def __getitem__(self, index):
        if not -self.size <= index < self.size:
            raise IndexError
        return self.slots[(self.start + index) % len(self.slots)]
