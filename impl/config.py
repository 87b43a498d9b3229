"""The limits under which the scheduler decides."""
from dataclasses import dataclass

from impl.errors import InvalidConfigError, PoolTooSmallError

POLICIES = ("fcfs", "priority")


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

    def require_pool_for_one_sequence(self) -> None:
        """Raise `PoolTooSmallError` unless the pool holds one sequence of
        `max_model_len` tokens beside the null block.

        Mirrors `v1/core/kv_cache_utils.py::_check_enough_kv_cache_memory`: it is
        asked when the engine is built, not by the scheduler.
        """
        usable = self.num_blocks - 1
        needed = -(-self.max_model_len // self.block_size)
        if needed > usable:
            raise PoolTooSmallError(
                f"one sequence of max_model_len={self.max_model_len} tokens needs {needed} blocks of {self.block_size}, "
                f"the pool has {usable} beside the null block; raise num_blocks to {needed + 1} "
                f"or lower max_model_len to {usable * self.block_size}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidConfigError(otherwise)
