"""A hit on a free block counts the new holder and leaves the block in the free queue: the next allocation overwrites it."""
from drills.data_structures.block_pool import solution

FAILS = {"test_the_life_of_a_pool": "yours: |every block is one or the other", "test_a_freed_block_is_not_forgotten": "must not be given out as well",
         "test_a_hit_costs_the_same_whatever_the_size": "in a list already"}


class BlockPool(solution.BlockPool):
    def touch(self, blocks):
        for block in blocks:
            block.ref_cnt += 1
