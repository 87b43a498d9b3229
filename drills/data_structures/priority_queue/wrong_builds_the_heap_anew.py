"""Takes a removed item out of the heap and builds it anew: right, and linear for each removal."""
import heapq

from drills.data_structures.priority_queue import solution

FAILS = {"test_removing_does_not_build_the_heap_anew": "mark, do not rebuild"}


class PriorityQueue(solution.PriorityQueue):
    def remove(self, item):
        del self._entries[item]
        self._heap = list(self._entries.values())
        heapq.heapify(self._heap)
