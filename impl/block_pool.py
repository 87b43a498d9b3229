"""The block pool: which blocks are free, in which order, and what the cached ones hold."""
from collections import OrderedDict
from collections.abc import Iterable, Iterator


class Block:
    """The bookkeeping of one block of the KV cache; its tensors live elsewhere.

    Mirrors `v1/core/kv_cache_utils.py::KVCacheBlock`.
    """

    __slots__ = ("block_id", "ref_cnt", "block_hash")

    def __init__(self, block_id: int):
        self.block_id = block_id
        self.ref_cnt = 0                        # requests that hold it
        self.block_hash: bytes | None = None    # set while it is in the prefix cache


class FreeQueue:
    """The free blocks in the order in which they will be given out, or evicted.

    A cached block in the middle leaves the queue when a request hits it, so every
    operation has to be O(1) per block at any place. vLLM links the blocks
    themselves (`v1/core/kv_cache_utils.py::FreeKVCacheBlockQueue`); an
    `OrderedDict` is such a linked list with an index.
    """

    def __init__(self, blocks: Iterable[Block]):
        self._blocks = OrderedDict((block.block_id, block) for block in blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())

    def popleft(self) -> Block:
        return self._blocks.popitem(last=False)[1]

    def remove(self, block: Block) -> None:
        del self._blocks[block.block_id]

    def append(self, block: Block) -> None:
        self._blocks[block.block_id] = block

    def prepend(self, block: Block) -> None:
        self._blocks[block.block_id] = block
        self._blocks.move_to_end(block.block_id, last=False)


class BlockPool:
    """All blocks, the free queue, and the prefix cache.

    Block 0 is the null block: a placeholder that is never given out, so a pool of
    `num_blocks` serves `num_blocks - 1`.

    A block is in the prefix cache as long as it has a hash, in use or free. Being
    free is not being forgotten: a cached block is evicted only when its turn in
    the free queue comes.

    Mirrors `v1/core/block_pool.py::BlockPool`.
    """

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self.blocks = [Block(block_id) for block_id in range(num_blocks)]
        self.free_queue = FreeQueue(self.blocks)
        self.null_block = self.free_queue.popleft()
        # Equal blocks are kept side by side: a block table is append-only, so a block
        # that turns out to be a duplicate cannot be swapped for the first.
        self.cached_blocks: dict[bytes, dict[int, Block]] = {}

    @property
    def num_free_blocks(self) -> int:
        return len(self.free_queue)

    @property
    def usage(self) -> float:
        """The share of the pool that requests hold, between 0 and 1."""
        usable = self.num_blocks - 1
        return 1.0 - self.num_free_blocks / usable if usable else 0.0

    def get_cached_block(self, block_hash: bytes) -> Block | None:
        """The first cached of the blocks with this hash."""
        duplicates = self.cached_blocks.get(block_hash)
        return next(iter(duplicates.values())) if duplicates else None

    def get_new_blocks(self, num_blocks: int) -> list[Block]:
        """Take blocks from the front of the free queue, evicting what they held."""
        blocks = []
        for _ in range(num_blocks):
            block = self.free_queue.popleft()
            if block.block_hash is not None:
                self._evict(block)
            block.ref_cnt = 1
            blocks.append(block)
        return blocks

    def touch(self, blocks: Iterable[Block]) -> None:
        """Hold cached blocks for one more request; a free one leaves the free queue."""
        for block in blocks:
            if block.ref_cnt == 0:
                self.free_queue.remove(block)
            block.ref_cnt += 1

    def cache(self, block: Block, block_hash: bytes) -> None:
        """Put a full block into the prefix cache."""
        block.block_hash = block_hash
        self.cached_blocks.setdefault(block_hash, {})[block.block_id] = block

    def free(self, ordered_blocks: Iterable[Block]) -> None:
        """Let go of blocks, the one to be reused first in front.

        A block without a hash can serve nobody: it goes to the front of the free
        queue and is reused next. A cached block goes to the end: the least
        recently used one is evicted first.
        """
        reuse_first, evict_last = [], []
        for block in ordered_blocks:
            block.ref_cnt -= 1
            if block.ref_cnt == 0:
                (reuse_first if block.block_hash is None else evict_last).append(block)
        for block in reversed(reuse_first):
            self.free_queue.prepend(block)
        for block in evict_last:
            self.free_queue.append(block)

    def reset_prefix_cache(self) -> bool:
        """Forget every cached block; refused (False) while a request holds any block.

        The free queue keeps its order.
        """
        if self.num_free_blocks != self.num_blocks - 1:
            return False
        self.cached_blocks.clear()
        for block in self.blocks:
            block.block_hash = None
        return True

    def _evict(self, block: Block) -> None:
        duplicates = self.cached_blocks[block.block_hash]
        del duplicates[block.block_id]
        if not duplicates:
            del self.cached_blocks[block.block_hash]
        block.block_hash = None
