"""The block manager: which request holds which blocks."""
from dataclasses import dataclass
from typing import NamedTuple

from impl.block_pool import Block, BlockPool
from impl.config import SchedulerConfig
from impl.request import Request


class NotEnoughBlocks(NamedTuple):
    """Why slots were not allocated, in blocks."""

    needed: int
    free: int
    watermark: int = 0          # kept free on top of what is needed
    whole_prompt: bool = False  # `needed` is for the whole prompt, not for this step alone

    def __str__(self) -> str:
        return (f"needs {self.needed} blocks{' for its whole prompt' if self.whole_prompt else ''}, {self.free} free"
                + (f", {self.watermark} of them the watermark" if self.watermark else ""))


@dataclass(slots=True)
class PrefixCacheStats:
    """How much the prefix cache was asked and how much it had, in tokens.

    A request that was preempted finds what it computed itself; it is counted
    apart, so that it does not flatter the hit rate.
    Mirrors `v1/metrics/stats.py::PrefixCacheStats`.
    """

    requests: int = 0
    queries: int = 0
    hits: int = 0
    preempted_requests: int = 0
    preempted_queries: int = 0
    preempted_hits: int = 0

    def record(self, num_tokens: int, num_hits: int, preempted: bool) -> None:
        if preempted:
            self.preempted_requests += 1
            self.preempted_queries += num_tokens
            self.preempted_hits += num_hits
        else:
            self.requests += 1
            self.queries += num_tokens
            self.hits += num_hits


class BlockManager:
    """Keeps a block table per request and decides whether there is room for more.

    Mirrors `v1/core/kv_cache_manager.py::KVCacheManager` with
    `v1/core/single_type_kv_cache_manager.py::FullAttentionManager`.
    """

    def __init__(self, config: SchedulerConfig):
        self.pool = BlockPool(config.num_blocks)
        self.block_size = config.block_size
        self.max_model_len = config.max_model_len
        self.num_lookahead_tokens = config.num_lookahead_tokens
        self.enable_caching = config.enable_prefix_caching
        self.watermark_blocks = int(config.watermark * config.num_blocks)
        self.block_tables: dict[str, list[Block]] = {}
        self.num_cached_blocks: dict[str, int] = {}     # how much of a table is in the prefix cache
        self.stats = PrefixCacheStats()

    @property
    def free_blocks(self) -> list[int]:
        """The ids of the free blocks, next to be given out first."""
        return [block.block_id for block in self.pool.free_queue]

    def get_computed_blocks(self, request: Request) -> list[Block]:
        """The longest run of cached blocks with which the request begins.

        One token is always left to compute, or there would be no logits to sample
        from: of a prompt that is cached to its very end, the last block is
        computed again.
        """
        computed: list[Block] = []
        if self.enable_caching and request.sampling_params.reads_prefix_cache:
            request.extend_block_hashes(self.block_size)
            longest = (request.num_tokens - 1) // self.block_size
            for block_hash in request.block_hashes[:longest]:
                block = self.pool.get_cached_block(block_hash)
                if block is None:
                    break
                computed.append(block)
        return computed

    def record_stats(self, request: Request, num_hits: int) -> None:
        """Count a lookup, once it has led to an admission."""
        if self.enable_caching and request.sampling_params.reads_prefix_cache:
            self.stats.record(request.num_tokens, num_hits, request.num_preemptions > 0)

    def admit(self, request: Request, computed_blocks: list[Block], num_new_tokens: int, *,
              reserve_full_prompt: bool, keep_watermark: bool) -> NotEnoughBlocks | None:
        """Give a waiting request its cached blocks and slots for `num_new_tokens` more.

        Returns None, or, with nothing changed, why there is not enough room. With
        `reserve_full_prompt` there must be room for all its tokens, though only
        this step's slots are taken: the rest is not reserved, only looked at.
        """
        free = self.pool.num_free_blocks
        watermark = self.watermark_blocks if keep_watermark else 0
        # A hit on a free block takes it from the free queue, so it costs a block like a new one.
        hits_on_free = sum(block.ref_cnt == 0 for block in computed_blocks)
        if reserve_full_prompt:
            needed = self._blocks_for(request.num_tokens) - len(computed_blocks) + hits_on_free
            if needed + watermark > free:
                return NotEnoughBlocks(needed, free, watermark, whole_prompt=True)

        num_tokens = len(computed_blocks) * self.block_size + num_new_tokens
        num_new_blocks = self._blocks_for_slots(num_tokens) - len(computed_blocks)
        needed = num_new_blocks + hits_on_free
        if needed + watermark > free:
            return NotEnoughBlocks(needed, free, watermark)

        self.pool.touch(computed_blocks)
        self.block_tables[request.request_id] = list(computed_blocks)
        self.num_cached_blocks[request.request_id] = len(computed_blocks)
        self._append_blocks(request, num_new_blocks)
        self.cache_blocks(request, num_tokens)
        return None

    def allocate_slots(self, request: Request, num_new_tokens: int) -> list[Block] | NotEnoughBlocks:
        """Give a running request slots for `num_new_tokens` more tokens.

        Returns the blocks that were added, often none, or, with nothing changed,
        why there is not enough room.
        """
        num_tokens = request.num_computed_tokens + num_new_tokens
        needed = self._blocks_for_slots(num_tokens) - len(self.block_tables[request.request_id])
        new_blocks = []
        if needed > 0:      # it may hold more than that: the blocks of drafts that were rejected stay
            if needed > self.pool.num_free_blocks:
                return NotEnoughBlocks(needed, self.pool.num_free_blocks)
            new_blocks = self._append_blocks(request, needed)
        self.cache_blocks(request, num_tokens)
        return new_blocks

    def cache_blocks(self, request: Request, num_tokens: int) -> None:
        """Put the blocks that its first `num_tokens` tokens fill into the prefix cache.

        They are cached when they are scheduled, before they are computed: the model
        runs a step's requests together, so one admitted in the same step can already
        share them. A token that is not known yet has no hash, so its block has to wait.
        """
        num_cached = self.num_cached_blocks[request.request_id]
        if self.enable_caching and num_tokens // self.block_size > num_cached:
            request.extend_block_hashes(self.block_size)
            num_full = min(num_tokens, request.num_tokens) // self.block_size
            table = self.block_tables[request.request_id]
            for index in range(num_cached, num_full):
                self.pool.cache(table[index], request.block_hashes[index])
            self.num_cached_blocks[request.request_id] = num_full

    def block_ids(self, request_id: str) -> tuple[int, ...]:
        """The block table of a request."""
        return self.ids(self.block_tables[request_id])

    def ids(self, blocks: list[Block]) -> tuple[int, ...]:
        """How a decision tells blocks."""
        return tuple([block.block_id for block in blocks])

    def free(self, request: Request) -> None:
        """Let go of a request's blocks, its tail first.

        The tail is the part of a prefix that fewest others share, so it should be
        evicted first.
        """
        self.num_cached_blocks.pop(request.request_id, None)
        self.pool.free(reversed(self.block_tables.pop(request.request_id, ())))

    def reset_prefix_cache(self) -> bool:
        return self.pool.reset_prefix_cache()

    def _blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    def _blocks_for_slots(self, num_tokens: int) -> int:
        """Blocks for so many tokens, and for the slots behind them that a proposer wants which keeps keys and values of its own."""
        num_slots = num_tokens + self.num_lookahead_tokens
        return self._blocks_for(num_slots if num_slots < self.max_model_len else self.max_model_len)

    def _append_blocks(self, request: Request, num_blocks: int) -> list[Block]:
        new_blocks = self.pool.get_new_blocks(num_blocks)
        self.block_tables[request.request_id] += new_blocks
        return new_blocks
