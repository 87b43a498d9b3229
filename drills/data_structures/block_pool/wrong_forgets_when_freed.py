"""A block loses its hash as soon as nobody holds it: the prefix cache serves only requests that run at the same time."""
from drills.data_structures.block_pool import solution

FAILS = {"test_the_life_of_a_pool": "yours: returns", "test_a_freed_block_is_not_forgotten": "forget them when the block is given out anew",
         "test_useless_blocks_are_reused_first": "Expected 4 2 5 6 3 1",
         "test_a_hit_costs_the_same_whatever_the_size": "each of them can be found"}


class BlockPool(solution.BlockPool):
    def free(self, ordered_blocks):
        blocks = list(ordered_blocks)
        for block in blocks:
            if block.ref_cnt == 1:
                self._forget(block)
        super().free(blocks)
