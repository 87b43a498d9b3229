"""What speculative decoding is asked to do."""
from collections.abc import Mapping
from dataclasses import dataclass, fields

from impl.errors import InvalidConfigError

NGRAM = "ngram"
USUAL_N = 5     # vLLM's, where neither end of the range is given


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculativeConfig:
    """Who drafts, and how much. The names are vLLM's; of its methods, n-grams are built here.

    The n-grams that are looked up have `prompt_lookup_min` to `prompt_lookup_max` tokens; one of them alone stands for both.
    Raises `InvalidConfigError` for what vLLM refuses as well. Mirrors `config/speculative.py::SpeculativeConfig`.
    """

    num_speculative_tokens: int             # drafts a request may have in a step
    method: str = NGRAM
    prompt_lookup_max: int | None = None
    prompt_lookup_min: int | None = None

    def __post_init__(self):
        _require(self.method == NGRAM, f"method={self.method!r}: of vLLM's methods only {NGRAM!r} is built here; choose it")
        given = [end for end in (self.prompt_lookup_min, self.prompt_lookup_max) if end is not None] or [USUAL_N]
        object.__setattr__(self, "prompt_lookup_min", given[0])
        object.__setattr__(self, "prompt_lookup_max", given[-1])
        for name in ("num_speculative_tokens", "prompt_lookup_min", "prompt_lookup_max"):
            value = getattr(self, name)
            _require(isinstance(value, int) and value >= 1, f"{name}={value!r}: must be at least 1")
        _require(self.prompt_lookup_min <= self.prompt_lookup_max,
                 f"prompt_lookup_min={self.prompt_lookup_min} > prompt_lookup_max={self.prompt_lookup_max}: raise the second or lower the first")

    @classmethod
    def of(cls, given: Mapping[str, object] | None) -> "SpeculativeConfig | None":
        """From the `speculative_config` of an `LLM`; None if there is none."""
        if given is None:
            return None
        names = [spec.name for spec in fields(cls)]
        unknown = sorted(given.keys() - set(names))
        _require(not unknown, f"{', '.join(unknown)}: there are {', '.join(names)}")
        _require("num_speculative_tokens" in given, "num_speculative_tokens is missing: say how many drafts a request may have in a step")
        return cls(**given)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidConfigError(f"speculative_config: {otherwise}")
