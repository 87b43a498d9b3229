"""How the tokens of a request are chosen, and what ends it."""
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from impl.errors import InvalidSamplingParamsError


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """The sampling parameters, under vLLM's names.

    The scheduler reads the first group, the sampler the second, the output
    processor the third. Raises `InvalidSamplingParamsError` for what vLLM refuses as well.
    Mirrors `sampling_params.py::SamplingParams`.
    """

    n: int = 1                                      # sequences to generate from one prompt
    max_tokens: int | None = 16                     # None: up to max_model_len
    min_tokens: int = 0
    eos_token_id: int | None = None                 # the model's end of sequence
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    prompt_logprobs: int | None = None
    skip_reading_prefix_cache: bool | None = None   # None: only if prompt_logprobs asks for it

    temperature: float = 1.0                        # 0: greedy
    top_k: int = 0                                  # 0: all
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: tuple[int, ...] | None = None
    bad_words_token_ids: tuple[tuple[int, ...], ...] = ()
    logprobs: int | None = None                     # of the most likely tokens at each position; -1: of all

    stop: tuple[str, ...] = ()
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True

    def __post_init__(self):
        _require(self.n >= 1, f"n={self.n}: must be at least 1")
        _require(self.max_tokens is None or self.max_tokens >= 1,
                 f"max_tokens={self.max_tokens}: must be at least 1, or None for as many as fit")
        _require(self.min_tokens >= 0, f"min_tokens={self.min_tokens}: must not be negative")
        _require(self.max_tokens is None or self.min_tokens <= self.max_tokens,
                 f"min_tokens={self.min_tokens}: must not exceed max_tokens={self.max_tokens}")
        _require(self.prompt_logprobs is None or self.prompt_logprobs >= -1,
                 f"prompt_logprobs={self.prompt_logprobs}: must be -1 (all) or not negative")
        _require(0 <= self.temperature <= 2, f"temperature={self.temperature}: must be between 0 (greedy) and 2")
        _require(self.top_k >= 0, f"top_k={self.top_k}: must be at least 1, or 0 for all")
        _require(0 < self.top_p <= 1, f"top_p={self.top_p}: must be in (0, 1]")
        _require(0 <= self.min_p <= 1, f"min_p={self.min_p}: must be in [0, 1]")
        for name in ("presence_penalty", "frequency_penalty"):
            _require(-2 <= getattr(self, name) <= 2, f"{name}={getattr(self, name)}: must be between -2 and 2")
        _require(0 < self.repetition_penalty < math.inf, f"repetition_penalty={self.repetition_penalty}: must be positive and finite")
        _require(self.logprobs is None or self.logprobs >= -1, f"logprobs={self.logprobs}: must be -1 (all) or not negative")
        _require(all(self.stop), "stop: an empty string stops everything before it begins; leave it out")
        _require(self.n == 1 or self.temperature > 0, f"n={self.n}: greedy sampling gives the same sequence each time; raise the temperature")

    @property
    def all_stop_token_ids(self) -> set[int]:
        """What `min_tokens` keeps from coming."""
        return {*self.stop_token_ids} | ({self.eos_token_id} if self.eos_token_id is not None else set())

    @property
    def reads_prefix_cache(self) -> bool:
        """A cached prompt token is not computed, so it has no logprob to return."""
        if self.skip_reading_prefix_cache is None:
            return self.prompt_logprobs is None
        return not self.skip_reading_prefix_cache


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidSamplingParamsError(otherwise)
