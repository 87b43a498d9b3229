"""Preemption: your answer. The problem is in drills/classics/preemption/README.md."""
from collections import deque
from dataclasses import dataclass, field


@dataclass(eq=False)
class Block:
    """One block of the KV cache. `block_hash`: what it is cached as, None: it is not."""

    block_id: int
    ref_cnt: int = 0
    block_hash: str | None = None


class BlockPool:
    """The free blocks in the order in which they are given out, and the cached ones by hash, free or not."""

    def __init__(self, num_blocks: int):
        self.free_queue = deque(Block(block_id) for block_id in range(1, num_blocks + 1))
        self.by_hash: dict[str, Block] = {}

    @property
    def num_free_blocks(self) -> int:
        return len(self.free_queue)

    def cached(self, block_hash: str) -> Block | None:
        """The cached block of that hash. It may be free: then it is still evicted when its turn comes."""
        return self.by_hash.get(block_hash)

    def touch(self, blocks: list[Block]) -> None:
        """Hold cached blocks for one more request; free ones leave the free queue."""
        for block in blocks:
            if block.ref_cnt == 0:
                self.free_queue.remove(block)
            block.ref_cnt += 1

    def get_new_blocks(self, number: int) -> list[Block]:
        """Take the first free blocks; what they held is evicted. Raises `IndexError` if there are too few."""
        blocks = [self.free_queue.popleft() for _ in range(number)]
        for block in blocks:
            self.by_hash.pop(block.block_hash, None)
            block.ref_cnt, block.block_hash = 1, None
        return blocks

    def free(self, blocks: list[Block]) -> None:
        """Let go of blocks. Those that nobody else holds become free, and will be given out in the order in which they are here."""
        for block in blocks:
            block.ref_cnt -= 1
            if block.ref_cnt == 0:
                self.free_queue.append(block)

    def cache(self, block: Block, block_hash: str) -> None:
        """Make a full block findable, unless one with this hash is there already."""
        if block_hash not in self.by_hash:
            block.block_hash = block_hash
            self.by_hash[block_hash] = block


@dataclass(eq=False)
class Request:
    """A prompt, and what has been generated from it."""

    request_id: str
    token_ids: list[int]            # the prompt, then the output
    num_prompt_tokens: int
    block_hashes: list[str]         # one for each full block of token_ids
    status: str = "waiting"         # or "running", or "preempted"
    num_computed_tokens: int = 0
    blocks: list[Block] = field(default_factory=list)           # the block table
    draft_token_ids: list[int] = field(default_factory=list)    # guesses, to be verified in the next step
    num_preemptions: int = 0


def preempt(request: Request, running: list[Request], waiting: deque[Request], pool: BlockPool) -> None:
    """Take all blocks from a running request and send it back to wait."""
    raise NotImplementedError("preemption: preempt is not written yet")


def resume(running: list[Request], waiting: deque[Request], pool: BlockPool, block_size: int) -> bool:
    """Let the first waiting request run: give it its cached prefix, and blocks for the rest of its tokens.

    False, with nothing changed: nobody waits, or there are too few blocks.
    """
    raise NotImplementedError("preemption: resume is not written yet")
