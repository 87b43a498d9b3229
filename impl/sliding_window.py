"""Sliding-window attention: a token sees the `sliding_window` tokens that end with it, and no others.

So a block whose tokens have all left the window is never read again: it can be freed
while its request runs, and a prefix can be taken from the cache without it.
"""
from collections.abc import Callable, Sequence

from impl.block_pool import Block

Lookup = Callable[[bytes], Sequence[Block] | None]      # the cached blocks with a hash, one for each group that asks


class SlidingWindowSpec:
    """Mirrors `v1/kv_cache_interface.py::SlidingWindowSpec` and
    `v1/core/single_type_kv_cache_manager.py::SlidingWindowManager`.
    """

    def __init__(self, sliding_window: int, block_size: int):
        self.sliding_window, self.block_size = sliding_window, block_size
        # The first token behind a prefix sees `sliding_window - 1` of its tokens. A hit needs the blocks they are on.
        self.num_blocks_for_hit = -(-(sliding_window - 1) // block_size)

    @property
    def prefix_cacheable(self) -> bool:
        """A window of one token sees nothing behind it: no hit would need a block, and none is cached."""
        return self.num_blocks_for_hit > 0

    def num_skipped_blocks(self, num_computed_tokens: int) -> int:
        """Blocks, from the first, of which the next token and all later ones see nothing."""
        return max(0, num_computed_tokens - self.sliding_window + 1) // self.block_size

    def longest_hit(self, lookup: Lookup, block_hashes: Sequence[bytes], nothing: Sequence[Block]) -> list[Sequence[Block]]:
        """The cached blocks of the longest prefix that can be continued, `nothing` for each it can do without.

        Searched from the right, until enough neighbours are cached to fill a window.
        Fewer will do where they are the first ones.
        """
        neighbours: list[Sequence[Block]] = []      # from the right
        for index in reversed(range(len(block_hashes))):
            blocks = lookup(block_hashes[index])
            if blocks is None:
                neighbours.clear()
                continue
            neighbours.append(blocks)
            if len(neighbours) == self.num_blocks_for_hit:
                return [nothing] * index + neighbours[::-1]
        return neighbours[::-1]
