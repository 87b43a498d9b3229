"""The cache knows one block per hash: caching a duplicate hides the first, evicting either forgets both."""
from drills.data_structures.block_pool import solution

FAILS = {"test_the_life_of_a_pool": "yours: returns", "test_of_two_equal_blocks_one_may_go": "cached first is found"}


class BlockPool(solution.BlockPool):
    def cache(self, block, block_hash):
        block.block_hash = block_hash
        self._known[block_hash] = {block: None}

    def _forget(self, block):
        self._known.pop(block.block_hash, None)
        block.block_hash = None
