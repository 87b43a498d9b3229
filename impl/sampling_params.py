"""How long a request may generate, and what ends it."""
from dataclasses import dataclass

from impl.errors import InvalidSamplingParamsError


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """The sampling parameters a scheduler has to know.

    Raises `InvalidSamplingParamsError` for what vLLM refuses as well.
    Mirrors `sampling_params.py::SamplingParams`; the names are vLLM's.
    """

    n: int = 1                                      # sequences to generate from one prompt
    max_tokens: int | None = 16                     # None: up to max_model_len
    min_tokens: int = 0
    eos_token_id: int | None = None                 # the model's end of sequence
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    prompt_logprobs: int | None = None
    skip_reading_prefix_cache: bool | None = None   # None: only if prompt_logprobs asks for it

    def __post_init__(self):
        _require(self.n >= 1, f"n={self.n}: must be at least 1")
        _require(self.max_tokens is None or self.max_tokens >= 1,
                 f"max_tokens={self.max_tokens}: must be at least 1, or None for as many as fit")
        _require(self.min_tokens >= 0, f"min_tokens={self.min_tokens}: must not be negative")
        _require(self.max_tokens is None or self.min_tokens <= self.max_tokens,
                 f"min_tokens={self.min_tokens}: must not exceed max_tokens={self.max_tokens}")
        _require(self.prompt_logprobs is None or self.prompt_logprobs >= -1,
                 f"prompt_logprobs={self.prompt_logprobs}: must be -1 (all) or not negative")

    @property
    def reads_prefix_cache(self) -> bool:
        """A cached prompt token is not computed, so it has no logprob to return."""
        if self.skip_reading_prefix_cache is None:
            return self.prompt_logprobs is None
        return not self.skip_reading_prefix_cache


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidSamplingParamsError(otherwise)
