"""The limits under which the scheduler decides."""
from dataclasses import dataclass

from impl.errors import InvalidConfigError, PoolTooSmallError

POLICIES = ("fcfs", "priority")
FULL_ATTENTION, SLIDING_WINDOW = KINDS = "full_attention", "sliding_window"     # as vLLM calls them: `KVCacheSpecKind`


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """Everything a scheduling decision depends on, apart from the requests.

    Raises `InvalidConfigError` for a limit that vLLM refuses as well.
    Mirrors `config/scheduler.py::SchedulerConfig` and the two fields of
    `config/cache.py::CacheConfig` and `config/vllm.py::VllmConfig` each that the
    scheduler reads; the names are vLLM's.
    """

    num_blocks: int                             # blocks in the pool, the null block included
    block_size: int = 16                        # tokens per block
    max_model_len: int = 8192                   # tokens, prompt and output together
    max_num_batched_tokens: int = 2048          # the token budget of one step
    max_num_seqs: int = 128                     # requests running at once
    max_num_active_seqs: int | None = None      # ... if fewer than the model runner has room for
    policy: str = "fcfs"
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    long_prefill_token_threshold: int = 0       # tokens one prefill may take of a step; 0: no cap
    long_prefill_token_threshold_adaptive: bool = False
    scheduler_reserve_full_isl: bool = True     # admit only if the whole prompt fits
    watermark: float = 0.0                      # share of the pool kept free when admitting
    async_scheduling: bool = False              # decide a step while the one before is still computed (AsyncScheduler)
    sliding_window: int | None = None           # tokens that a token sees, itself included; None: all
    kv_cache_groups: tuple[str, ...] = ()       # what each group of layers sees; (): there is one group
    num_speculative_tokens: int = 0             # drafts a request may have in a step
    num_lookahead_tokens: int = 0               # slots behind a step's tokens, for a proposer with keys and values of its own

    def __post_init__(self):
        for name in ("num_blocks", "block_size", "max_model_len", "max_num_batched_tokens", "max_num_seqs"):
            _require(getattr(self, name) >= 1, f"{name}={getattr(self, name)}: must be at least 1")
        _require(self.policy in POLICIES, f"policy={self.policy!r}: choose one of {', '.join(POLICIES)}")
        _require(0 <= self.watermark < 1, f"watermark={self.watermark}: a share of the pool, in [0, 1)")
        _require(self.max_num_batched_tokens >= self.max_num_seqs,
                 f"max_num_batched_tokens={self.max_num_batched_tokens} < max_num_seqs={self.max_num_seqs}: "
                 "every running request needs a token of the budget; raise the first or lower the second")
        _require(self.enable_chunked_prefill or self.max_num_batched_tokens >= self.max_model_len,
                 f"max_num_batched_tokens={self.max_num_batched_tokens} < max_model_len={self.max_model_len}: "
                 "without chunked prefill the longest prompt must fit into one step")
        active = self.max_num_active_seqs
        _require(active is None or 1 <= active <= self.max_num_seqs,
                 f"max_num_active_seqs={active}: must be between 1 and max_num_seqs={self.max_num_seqs}")
        for name in ("num_speculative_tokens", "num_lookahead_tokens"):
            _require(getattr(self, name) >= 0, f"{name}={getattr(self, name)}: must be at least 0")
        _require(0 <= self.long_prefill_token_threshold <= self.max_model_len,
                 f"long_prefill_token_threshold={self.long_prefill_token_threshold}: "
                 f"must be between 0 (no cap) and max_model_len={self.max_model_len}")
        _require(not (self.num_speculative_tokens or self.num_lookahead_tokens) or not self.async_scheduling and self.sliding_window is None,
                 f"num_speculative_tokens={self.num_speculative_tokens}, num_lookahead_tokens={self.num_lookahead_tokens}: drafts beside "
                 "async_scheduling or a sliding_window are not built here, though vLLM has them; leave out one or the other")
        window, groups = self.sliding_window, self.kv_cache_groups
        _require(window is None or window >= 1, f"sliding_window={window}: must be at least 1, as a token sees itself")
        _require(set(groups) <= set(KINDS), f"kv_cache_groups={groups}: choose each of {', '.join(KINDS)}")
        _require(not groups or (window is not None and SLIDING_WINDOW in groups),
                 f"kv_cache_groups={groups}, sliding_window={window}: groups are for a model with windows; "
                 "give a sliding_window and at least one group of that kind, or no groups")

    def require_pool_for_one_sequence(self) -> None:
        """Raise `PoolTooSmallError` unless the pool holds one sequence of
        `max_model_len` tokens beside the null block.

        Mirrors `v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory`: it is
        asked when the engine is built, not by the scheduler.
        """
        usable = self.num_blocks - 1
        needed = sum(self.max_blocks(kind) for kind in self.kinds)
        if needed > usable:
            raise PoolTooSmallError(
                f"one sequence of max_model_len={self.max_model_len} tokens needs {needed} blocks of {self.block_size}, "
                f"the pool has {usable} beside the null block; raise num_blocks to {needed + 1}"
                + ("" if self.sliding_window else f" or lower max_model_len to {usable * self.block_size}"))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each KV cache group sees."""
        return tuple(self.kv_cache_groups) or (FULL_ATTENTION if self.sliding_window is None else SLIDING_WINDOW,)

    def max_blocks(self, kind: str) -> int:
        """Blocks that one request holds at most in a group of this kind.

        In a window: those of the window and of the tokens of each step under way, and one,
        as a window need not begin where a block does. Mirrors `max_admission_blocks_per_request` of
        `v1/kv_cache_interface.py::SlidingWindowSpec`.
        """
        if kind == FULL_ATTENTION:
            return -(-self.max_model_len // self.block_size)
        num_steps = 2 if self.async_scheduling else 1
        num_tokens = min(self.sliding_window - 1 + num_steps * self.max_num_batched_tokens, self.max_model_len)
        return -(-num_tokens // self.block_size) + 1


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidConfigError(otherwise)
