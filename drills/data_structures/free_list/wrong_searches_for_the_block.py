"""Removing walks from the front until it meets the block: right, and linear where it should be constant."""
from drills.data_structures.free_list import solution
from drills.data_structures.free_list.solution import Block

FAILS = {"test_a_call_costs_the_same_whatever_the_length": "walks through the list"}


class FreeList(solution.FreeList):
    def remove(self, block):
        for each in self:
            if each is block:
                return super().remove(block)
        raise ValueError
