"""Everything that is freed goes to the front, as onto a stack: what was used last is overwritten first."""
from drills.data_structures.block_pool import solution

FAILS = {"test_the_life_of_a_pool": "yours: returns", "test_useless_blocks_are_reused_first": "Expected 4 2 5 6 3 1"}


class BlockPool(solution.BlockPool):
    def free(self, ordered_blocks):
        for block in ordered_blocks:
            if not block.ref_cnt:
                raise ValueError
            block.ref_cnt -= 1
            if not block.ref_cnt:
                self.free_queue.prepend(block)
