"""Reference counts, one list of what is free, and one dictionary of what is remembered."""
from collections.abc import Iterable

from drills.data_structures.free_list.solution import FreeList


class Block:  # given
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
        self.blocks = [Block(number) for number in range(num_blocks)]
        self.null_block, *usable = self.blocks
        self.free_queue = FreeList(usable)
        # Which blocks hold a content, the one that was cached first in front: a dictionary keeps the order, and lets go of any in O(1).
        self._known: dict[bytes, dict[Block, None]] = {}

    @property
    def num_free_blocks(self) -> int:
        """How many blocks nobody holds."""
        return len(self.free_queue)

    @property
    def usage(self) -> float:
        """The share that is held, 0 to 1; the null block does not count. 0 for a pool of the null block alone."""
        total = len(self.blocks) - 1
        return (total - len(self.free_queue)) / total if total else 0.0

    def get_cached_block(self, block_hash: bytes) -> Block | None:
        """The block with this content; of several, the one that was cached first. None if there is none."""
        return next(iter(self._known.get(block_hash, ())), None)

    def get_new_blocks(self, num_blocks: int) -> list[Block]:
        """Take blocks from the front of the free queue, held once each. What they contained is forgotten.

        Raises `ValueError` if there are not so many; then nothing has changed.
        """
        if num_blocks > len(self.free_queue):
            raise ValueError(f"{num_blocks} blocks wanted, {len(self.free_queue)} free")
        taken = [self.free_queue.popleft() for _ in range(num_blocks)]
        for block in taken:
            self._forget(block)
            block.ref_cnt = 1
        return taken

    def touch(self, blocks: Iterable[Block]) -> None:
        """Hold each block once more. One that was free is not free any more, and keeps its content."""
        for block in blocks:
            if not block.ref_cnt:
                self.free_queue.remove(block)
            block.ref_cnt += 1

    def cache(self, block: Block, block_hash: bytes) -> None:
        """Remember what a block contains."""
        block.block_hash = block_hash
        self._known.setdefault(block_hash, {})[block] = None

    def free(self, ordered_blocks: Iterable[Block]) -> None:
        """Hold each block once less. Those that nobody holds any more become free, in the order given:

        the ones without a hash at the front of the free queue, the cached ones at its back.
        Raises `ValueError` for a block that nobody holds.
        """
        useless = []
        for block in ordered_blocks:
            if not block.ref_cnt:
                raise ValueError(f"{block} is held by nobody: freed twice?")
            block.ref_cnt -= 1
            if not block.ref_cnt:
                if block.block_hash is None:
                    useless.append(block)
                else:
                    self.free_queue.append(block)
        while useless:      # backwards, so that the first one ends up in front
            self.free_queue.prepend(useless.pop())

    def reset_prefix_cache(self) -> bool:
        """Forget all contents. False, and nothing happens, while any block is held."""
        if self.usage:
            return False
        for block in self.free_queue:
            self._forget(block)
        return True

    def _forget(self, block: Block) -> None:
        if block.block_hash is not None:
            equals = self._known[block.block_hash]
            del equals[block]
            if not equals:
                del self._known[block.block_hash]
            block.block_hash = None
