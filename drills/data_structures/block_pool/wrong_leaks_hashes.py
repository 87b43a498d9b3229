"""Takes an evicted block off the list of its hash and leaves the empty list: a dictionary that grows for ever."""
from drills.data_structures.block_pool import solution

FAILS = {"test_what_was_evicted_leaves_nothing_behind": "are still kept somewhere"}


class BlockPool(solution.BlockPool):
    def _forget(self, block):
        if block.block_hash is not None:
            del self._known[block.block_hash][block]
            block.block_hash = None
