"""A KV cache group: layers that attend alike and share a block table."""
from collections.abc import Sequence

from impl.block_pool import Block, BlockPool
from impl.request import Request
from impl.sliding_window import Lookup, SlidingWindowSpec


class FullAttentionSpec:
    """A token sees all before it: nothing is skipped, and a hit needs every block.

    Mirrors `v1/kv_cache_interface.py::FullAttentionSpec` and
    `v1/core/single_type_kv_cache_manager.py::FullAttentionManager`.
    """

    prefix_cacheable = True

    def num_skipped_blocks(self, num_computed_tokens: int) -> int:
        return 0

    def longest_hit(self, lookup: Lookup, block_hashes: Sequence[bytes], nothing: Sequence[Block]) -> list[Sequence[Block]]:
        hit = []
        for block_hash in block_hashes:
            blocks = lookup(block_hash)
            if blocks is None:
                break
            hit.append(blocks)
        return hit


class KVCacheGroup:
    """The block tables of one group.

    Equal tokens have other keys and values in another group's layers, so a block is
    cached under its hash and the group's number.

    Mirrors `v1/core/single_type_kv_cache_manager.py::SingleTypeKVCacheManager`.
    """

    def __init__(self, number: int, spec: FullAttentionSpec | SlidingWindowSpec, pool: BlockPool, max_blocks: int):
        self.spec, self.pool, self.max_blocks = spec, pool, max_blocks
        self.suffix = number.to_bytes(4, "big")
        self.block_tables: dict[str, list[Block]] = {}
        self.num_cached_blocks: dict[str, int] = {}     # how much of a table is in the prefix cache

    def get_cached_block(self, block_hash: bytes) -> Block | None:
        return self.pool.get_cached_block(block_hash + self.suffix)

    def blocks_needed(self, num_blocks: int, hit: Sequence[Block]) -> int:
        """Free blocks that a table of `num_blocks` takes which begins with `hit`."""
        return max(num_blocks - len(hit), 0) + sum(block.ref_cnt == 0 and block is not self.pool.null_block for block in hit)

    def admit(self, request_id: str, hit: Sequence[Block]) -> None:
        """Begin a block table with cached blocks."""
        self.pool.touch(block for block in hit if block is not self.pool.null_block)
        self.block_tables[request_id] = list(hit)
        self.num_cached_blocks[request_id] = len(hit)

    def free_skipped_blocks(self, request: Request) -> None:
        """Free what has left the window, the last of it first; the null block takes its place.

        A step in flight still sees what its own tokens see. Mirrors `SingleTypeKVCacheManager.remove_skipped_blocks`.
        """
        table, freed = self.block_tables[request.request_id], []
        for index in reversed(range(self.spec.num_skipped_blocks(request.num_computed_tokens - request.num_in_flight_tokens))):
            if table[index] is self.pool.null_block:    # so are all before it
                break
            freed.append(table[index])
            table[index] = self.pool.null_block
        self.pool.free(freed)

    def cache_full_blocks(self, request: Request, num_full: int) -> None:
        table, num_cached = self.block_tables[request.request_id], self.num_cached_blocks[request.request_id]
        if self.spec.prefix_cacheable and num_full > num_cached:
            for index in range(num_cached, num_full):
                self.pool.cache(table[index], request.block_hashes[index] + self.suffix)
            self.num_cached_blocks[request.request_id] = num_full

    def free(self, request_id: str) -> None:
        """Let go of a request's blocks, its tail first."""
        self.num_cached_blocks.pop(request_id, None)
        self.pool.free(block for block in reversed(self.block_tables.pop(request_id, ())) if block is not self.pool.null_block)
