"""Leaves dead entries until they come to the top, which those with a large priority never do."""
from drills.data_structures.priority_queue import solution

FAILS = {"test_the_dead_do_not_pile_up": "clean up when most entries are dead"}


class PriorityQueue(solution.PriorityQueue):
    def remove(self, item):
        del self._entries[item]
