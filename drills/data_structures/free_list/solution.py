"""A doubly linked list whose links are attributes of the blocks, between two sentinels that are never given out."""
from collections.abc import Iterable, Iterator


class Block:  # given
    """One block of the KV cache. Its links are for the free list alone; both are None while it is in no list."""

    def __init__(self, block_id: int):
        self.block_id = block_id
        self.prev_free_block: Block | None = None
        self.next_free_block: Block | None = None

    def __repr__(self) -> str:
        return f"Block({self.block_id})"


class FreeList:
    """Blocks in the order in which they will be given out; iterating goes from the front to the back."""

    def __init__(self, blocks: Iterable[Block] = ()):
        self._size = 0
        # With a sentinel at either end every block in the list has two neighbours: no special case for an end.
        self._front, self._back = Block(-1), Block(-2)
        _link(self._front, self._back)
        for block in blocks:
            self.append(block)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Block]:
        block = self._front.next_free_block
        while block is not self._back:
            yield block
            block = block.next_free_block

    def popleft(self) -> Block:
        """Remove the block at the front and return it. Raises `IndexError` if the list is empty."""
        if not self._size:
            raise IndexError("no free block")
        first = self._front.next_free_block
        self.remove(first)
        return first

    def remove(self, block: Block) -> None:
        """Remove a block, wherever it is. Raises `ValueError` if it is in no list."""
        if block.next_free_block is None:
            raise ValueError(f"{block} is in no list")
        _link(block.prev_free_block, block.next_free_block)
        block.prev_free_block = block.next_free_block = None
        self._size -= 1

    def append(self, block: Block) -> None:
        """Add a block at the back. Raises `ValueError` if it is in a list already."""
        self._insert(self._back.prev_free_block, block)

    def prepend(self, block: Block) -> None:
        """Add a block at the front. Raises `ValueError` if it is in a list already."""
        self._insert(self._front, block)

    def _insert(self, left: Block, block: Block) -> None:
        if block.next_free_block is not None:
            raise ValueError(f"{block} is in a list already: freed twice?")
        right = left.next_free_block
        _link(left, block)
        _link(block, right)
        self._size += 1


def _link(left: Block, right: Block) -> None:
    left.next_free_block, right.prev_free_block = right, left
