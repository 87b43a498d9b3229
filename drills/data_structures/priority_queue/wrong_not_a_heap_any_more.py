"""Throws the dead out of the list and does not restore the heap: from then on the order is wrong."""
from drills.data_structures.priority_queue import solution

FAILS = {"test_removing_does_not_build_the_heap_anew": "is it still a heap"}


class PriorityQueue(solution.PriorityQueue):
    def remove(self, item):
        del self._entries[item]
        if len(self._heap) > 2 * len(self._entries) + 32:
            self._heap = list(self._entries.values())
