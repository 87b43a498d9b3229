"""A block that leaves keeps its links: nobody can tell any more that it has left."""
from drills.data_structures.free_list import solution
from drills.data_structures.free_list.solution import Block, _link

FAILS = {"test_any_sequence_of_calls": "set both links to None|yours: (returns|raises)", "test_a_block_leaves_from_the_middle": "set both links to None",
         "test_what_is_not_in_the_list_cannot_leave": "DID NOT RAISE", "test_a_call_costs_the_same_whatever_the_length": "in a list already"}


class FreeList(solution.FreeList):
    def remove(self, block):
        if block.next_free_block is None:
            raise ValueError
        _link(block.prev_free_block, block.next_free_block)
        self._size -= 1
