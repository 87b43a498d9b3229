"""The block manager of a model with sliding windows: one block table a request in each KV cache group."""
from collections.abc import Sequence
from functools import partial
from itertools import repeat

from impl.block_manager import BlockManager, NotEnoughBlocks
from impl.block_pool import Block
from impl.config import FULL_ATTENTION, SchedulerConfig
from impl.kv_cache_group import FullAttentionSpec, KVCacheGroup
from impl.request import Request
from impl.sliding_window import SlidingWindowSpec


class HybridBlockManager(BlockManager):
    """A `BlockManager` whose blocks stand in columns: the block of each group for the same tokens.

    All groups draw from one pool. Their tables are of one length at any time, as what
    has left a window keeps its place in the table.

    Mirrors `v1/core/kv_cache_coordinator.py::HybridKVCacheCoordinator`, and with a
    single group `UnitaryKVCacheCoordinator`.
    """

    def __init__(self, config: SchedulerConfig):
        super().__init__(config)
        full, sliding = FullAttentionSpec(), SlidingWindowSpec(config.sliding_window, config.block_size)
        self.groups = [KVCacheGroup(number, full if kind == FULL_ATTENTION else sliding, self.pool, config.max_blocks(kind))
                       for number, kind in enumerate(config.kinds)]
        self.alike = {spec: [group for group in self.groups if group.spec is spec] for spec in (full, sliding)}

    def get_computed_blocks(self, request: Request) -> list[Sequence[Block]]:
        """The columns of the longest prefix that every group can continue; null blocks where a window has left.

        Full attention is asked first. Whatever it has cached is cached from the first
        block on, so it can be cut to the shorter prefix that windows find in it.

        Mirrors `HybridKVCacheCoordinator.find_longest_cache_hit`.
        """
        if not self.enable_caching or not request.sampling_params.reads_prefix_cache:
            return []
        request.extend_block_hashes(self.block_size)
        length = (request.num_tokens - 1) // self.block_size
        hits: dict[KVCacheGroup, Sequence[Block]] = {}
        for spec, groups in self.alike.items():
            if groups:
                columns = spec.longest_hit(partial(_column, groups), request.block_hashes[:length], [self.pool.null_block] * len(groups))
                length = len(columns)
                hits |= zip(groups, zip(*columns) if columns else repeat(()))
        return list(zip(*[hits[group][:length] for group in self.groups]))

    def admit(self, request: Request, computed_blocks: Sequence[Sequence[Block]], num_new_tokens: int, *,
              reserve_full_prompt: bool, keep_watermark: bool) -> NotEnoughBlocks | None:
        """As `BlockManager.admit`, with the blocks of all groups counted together.

        For the whole prompt, no group is asked for more than a request can hold at a time.
        """
        hits = list(zip(*computed_blocks)) or [()] * len(self.groups)
        free = self.pool.num_free_blocks
        watermark = self.watermark_blocks if keep_watermark else 0
        if reserve_full_prompt:
            whole = self._blocks_for(request.num_tokens)
            needed = sum(group.blocks_needed(min(whole, group.max_blocks), hit) for group, hit in zip(self.groups, hits))
            if needed + watermark > free:
                return NotEnoughBlocks(needed, free, watermark, whole_prompt=True)

        num_tokens = len(computed_blocks) * self.block_size + num_new_tokens
        num_columns = self._blocks_for_slots(num_tokens)
        needed = sum(group.blocks_needed(num_columns, hit) for group, hit in zip(self.groups, hits))
        if needed + watermark > free:
            return NotEnoughBlocks(needed, free, watermark)

        for group, hit in zip(self.groups, hits):   # all hits are held before a new block could evict one
            group.admit(request.request_id, hit)
        self._append_blocks(request, num_columns - len(computed_blocks))
        self.cache_blocks(request, num_tokens)
        return None

    def allocate_slots(self, request: Request, num_new_tokens: int) -> list[Sequence[Block]] | NotEnoughBlocks:
        """As `BlockManager.allocate_slots`. What has left the window is freed first, even if there is not enough room then."""
        for group in self.groups:
            group.free_skipped_blocks(request)
        num_tokens = request.num_computed_tokens + num_new_tokens
        num_new_columns = self._blocks_for_slots(num_tokens) - len(self.groups[0].block_tables[request.request_id])
        needed = num_new_columns * len(self.groups)
        if needed > self.pool.num_free_blocks:
            return NotEnoughBlocks(needed, self.pool.num_free_blocks)
        new_blocks = self._append_blocks(request, num_new_columns)
        self.cache_blocks(request, num_tokens)
        return new_blocks

    def block_ids(self, request_id: str) -> tuple:
        return self.ids(list(zip(*[group.block_tables[request_id] for group in self.groups])))

    def ids(self, blocks: Sequence[Sequence[Block]]) -> tuple:
        """The ids of columns, row by row; of a single group just its ids."""
        rows = tuple(tuple(block.block_id for block in row) for row in zip(*blocks))
        return rows if len(self.groups) > 1 else rows[0]

    def group_tables(self, request_id: str) -> tuple[tuple[int, ...], ...]:
        """The block table of a request in each group, as ids; the null block's is 0."""
        return tuple(tuple(block.block_id for block in group.block_tables[request_id]) for group in self.groups)

    def free(self, request: Request) -> None:
        """Group by group, each table's tail first."""
        for group in self.groups:
            group.free(request.request_id)

    def cache_blocks(self, request: Request, num_tokens: int) -> None:
        if self.enable_caching:
            request.extend_block_hashes(self.block_size)
            for group in self.groups:
                group.cache_full_blocks(request, min(num_tokens, request.num_tokens) // self.block_size)

    def _append_blocks(self, request: Request, num_columns: int) -> list[Sequence[Block]]:
        """As columns; each group takes its blocks in turn."""
        rows = [self.pool.get_new_blocks(num_columns) for _ in self.groups]
        for group, row in zip(self.groups, rows):
            group.block_tables[request.request_id] += row
        return list(zip(*rows))


def _column(groups: Sequence[KVCacheGroup], block_hash: bytes) -> list[Block] | None:
    """The cached block of each group; None if one has none."""
    blocks = [group.get_cached_block(block_hash) for group in groups]
    return None if None in blocks else blocks
