"""Block pool: your answer. The problem is in drills/data_structures/block_pool/README.md."""
from collections.abc import Iterable


class Block:
    """One block of the KV cache. The two links are for a free list, if you build on one."""

    def __init__(self, block_id: int):
        self.block_id = block_id
        self.ref_cnt = 0                        # how many requests hold it
        self.block_hash: bytes | None = None    # what it contains, while the prefix cache knows
        self.prev_free_block: Block | None = None
        self.next_free_block: Block | None = None

    def __repr__(self) -> str:
        return f"Block({self.block_id})"


class BlockPool:
    """All blocks. Public: `blocks`, `null_block`, and `free_queue`, which gives the free blocks in order when iterated."""

    def __init__(self, num_blocks: int):
        raise NotImplementedError("block_pool: BlockPool.__init__ is not written yet")

    @property
    def num_free_blocks(self) -> int:
        """How many blocks nobody holds."""
        raise NotImplementedError("block_pool: BlockPool.num_free_blocks is not written yet")

    @property
    def usage(self) -> float:
        """The share that is held, 0 to 1; the null block does not count. 0 for a pool of the null block alone."""
        raise NotImplementedError("block_pool: BlockPool.usage is not written yet")

    def get_cached_block(self, block_hash: bytes) -> Block | None:
        """The block with this content; of several, the one that was cached first. None if there is none."""
        raise NotImplementedError("block_pool: BlockPool.get_cached_block is not written yet")

    def get_new_blocks(self, num_blocks: int) -> list[Block]:
        """Take blocks from the front of the free queue, held once each. What they contained is forgotten.

        Raises `ValueError` if there are not so many; then nothing has changed.
        """
        raise NotImplementedError("block_pool: BlockPool.get_new_blocks is not written yet")

    def touch(self, blocks: Iterable[Block]) -> None:
        """Hold each block once more. One that was free is not free any more, and keeps its content."""
        raise NotImplementedError("block_pool: BlockPool.touch is not written yet")

    def cache(self, block: Block, block_hash: bytes) -> None:
        """Remember what a block contains."""
        raise NotImplementedError("block_pool: BlockPool.cache is not written yet")

    def free(self, ordered_blocks: Iterable[Block]) -> None:
        """Hold each block once less. Those that nobody holds any more become free, in the order given:

        the ones without a hash at the front of the free queue, the cached ones at its back.
        Raises `ValueError` for a block that nobody holds.
        """
        raise NotImplementedError("block_pool: BlockPool.free is not written yet")

    def reset_prefix_cache(self) -> bool:
        """Forget all contents. False, and nothing happens, while any block is held."""
        raise NotImplementedError("block_pool: BlockPool.reset_prefix_cache is not written yet")
