"""Free list: your answer. The problem is in drills/data_structures/free_list/README.md."""
from collections.abc import Iterable, Iterator


class Block:
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
        raise NotImplementedError("free_list: FreeList.__init__ is not written yet")

    def __len__(self) -> int:
        raise NotImplementedError("free_list: FreeList.__len__ is not written yet")

    def __iter__(self) -> Iterator[Block]:
        raise NotImplementedError("free_list: FreeList.__iter__ is not written yet")

    def popleft(self) -> Block:
        """Remove the block at the front and return it. Raises `IndexError` if the list is empty."""
        raise NotImplementedError("free_list: FreeList.popleft is not written yet")

    def remove(self, block: Block) -> None:
        """Remove a block, wherever it is. Raises `ValueError` if it is in no list."""
        raise NotImplementedError("free_list: FreeList.remove is not written yet")

    def append(self, block: Block) -> None:
        """Add a block at the back. Raises `ValueError` if it is in a list already."""
        raise NotImplementedError("free_list: FreeList.append is not written yet")

    def prepend(self, block: Block) -> None:
        """Add a block at the front. Raises `ValueError` if it is in a list already."""
        raise NotImplementedError("free_list: FreeList.prepend is not written yet")
