"""Marks removed items by name: pushing the item again takes the mark off its old entry as well."""
from drills.data_structures.priority_queue import solution

FAILS = {"test_any_sequence_of_calls": "yours: (returns|raises)", "test_who_comes_back_has_one_entry": "must not come to life"}


class PriorityQueue(solution.PriorityQueue):
    def _is_alive(self, entry):
        return entry[2] in self._entries
