"""The heap holds (priority, item): equal priorities are decided by the item, if it can be compared at all."""
import itertools

from drills.data_structures.priority_queue import solution

FAILS = {"test_any_sequence_of_calls": "yours: returns", "test_equal_priorities_keep_their_order": "in the order of arrival, zoe adam mia bob",
         "test_items_are_not_compared": "not supported between instances", "test_the_dead_do_not_pile_up": "not supported between instances"}


class PriorityQueue(solution.PriorityQueue):
    def __init__(self):
        super().__init__()
        self._arrivals = itertools.repeat(0)    # so that the item decides
