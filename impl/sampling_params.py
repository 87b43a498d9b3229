"""How the tokens of a request are chosen, and what ends it."""
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from impl.errors import InvalidSamplingParamsError

COLDEST = 1e-2      # a lower temperature overflows float32 logits, so it is raised to this; 0 is greedy
MAX_N = 16384

INTEGERS = ("n", "max_tokens", "min_tokens", "top_k", "seed", "logprobs", "prompt_logprobs")
NUMBERS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
MAY_BE_NONE = ("max_tokens", "seed", "logprobs", "prompt_logprobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """The sampling parameters, under vLLM's names and with its defaults.

    The scheduler reads the first group, the sampler the second, the output
    processor the third. A list may be any collection, and is kept as a tuple.
    Raises `InvalidSamplingParamsError` for what vLLM refuses as well, and for a
    value of the wrong type. Mirrors `sampling_params.py::SamplingParams`.
    """

    n: int = 1                                      # sequences to generate from one prompt
    max_tokens: int | None = 16                     # None: up to max_model_len
    min_tokens: int = 0
    eos_token_id: int | None = None                 # the model's end of sequence
    more_eos_token_ids: tuple[int, ...] = ()        # other tokens that end one, by the model's generation_config.json
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] | None = ()
    prompt_logprobs: int | None = None              # of the most likely tokens at each position of the prompt; -1: of all
    skip_reading_prefix_cache: bool | None = None   # None: only if prompt_logprobs asks for it

    temperature: float = 1.0                        # 0: greedy
    top_k: int = 0                                  # 0 or -1: all
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None                         # -1: none
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] | None = field(default_factory=dict)
    allowed_token_ids: tuple[int, ...] | None = None
    bad_words: tuple[str, ...] | None = ()
    bad_words_token_ids: tuple[tuple[int, ...], ...] = ()   # of bad_words, filled in by the engine
    logprobs: int | None = None                     # of the most likely tokens at each position; -1: of all
    structured_outputs: Mapping[str, object] | None = None  # {"json": schema}, or regex, choice or grammar: what the output must follow

    stop: tuple[str, ...] | str | None = ()
    include_stop_str_in_output: bool = False
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True

    def __post_init__(self):
        self._check_types()
        self._normalize()
        self._check_ranges()
        if self.temperature == 0:       # greedy: nothing is left to thin out
            self._set(top_k=0, top_p=1.0, min_p=0.0)
            _require(self.n == 1, f"n={self.n}: greedy sampling gives the same sequence each time; raise the temperature")

    @classmethod
    def from_optional(cls, *, logit_bias: Mapping[int | str, float] | None = None, **params) -> "SamplingParams":
        """From what comes over a wire: None means the default, a bias may have its token id as text, and is kept in [-100, 100]."""
        default_if_none = ("n", "temperature", "top_p", *NUMBERS[3:])
        params = {name: value for name, value in params.items() if not (value is None and name in default_if_none)}
        try:
            clamped = {int(token_id): min(100.0, max(-100.0, bias)) for token_id, bias in (logit_bias or {}).items()}
        except (TypeError, ValueError) as error:
            raise InvalidSamplingParamsError(f"logit_bias={logit_bias!r}: give it numbers by token id") from error
        return cls(logit_bias=clamped, **params)

    @property
    def all_stop_token_ids(self) -> set[int]:
        """What `min_tokens` keeps from coming."""
        return {*self.stop_token_ids, *self.more_eos_token_ids} | ({self.eos_token_id} if self.eos_token_id is not None else set())

    @property
    def reads_prefix_cache(self) -> bool:
        """A cached prompt token is not computed, so it has no logprob to return."""
        if self.skip_reading_prefix_cache is None:
            return self.prompt_logprobs is None
        return not self.skip_reading_prefix_cache

    def _set(self, **values) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)       # frozen for everybody else

    def _check_types(self) -> None:
        for name in (*INTEGERS, *NUMBERS):
            value, expected = getattr(self, name), int if name in INTEGERS else (int, float)
            _require(isinstance(value, expected) or (value is None and name in MAY_BE_NONE),
                     f"{name}={value!r}: must be {'an integer' if name in INTEGERS else 'a number'}"
                     f"{', or None' if name in MAY_BE_NONE else ''}")
        for name in ("stop_token_ids", "more_eos_token_ids", "allowed_token_ids"):
            _require_all(self, name, int, "token ids")
        for name in ("bad_words", "stop"):
            _require_all(self, name, str, "texts")
        biases = self.logit_bias or {}
        _require(isinstance(biases, Mapping) and all(isinstance(token_id, int) for token_id in biases)
                 and all(isinstance(bias, (int, float)) for bias in biases.values()),
                 f"logit_bias={self.logit_bias!r}: give it numbers by token id; `from_optional` takes the ids as text too")

    def _normalize(self) -> None:
        self._set(stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
                  stop_token_ids=tuple(dict.fromkeys(self.stop_token_ids or ())),
                  bad_words=tuple(dict.fromkeys(self.bad_words or ())),
                  allowed_token_ids=None if self.allowed_token_ids is None else tuple(self.allowed_token_ids),
                  logit_bias=dict(self.logit_bias or {}),
                  seed=None if self.seed == -1 else self.seed,
                  logprobs=int(self.logprobs) if self.logprobs is True else self.logprobs,
                  prompt_logprobs=int(self.prompt_logprobs) if self.prompt_logprobs is True else self.prompt_logprobs,
                  temperature=COLDEST if 0 < self.temperature < COLDEST else self.temperature)

    def _check_ranges(self) -> None:
        _require(1 <= self.n <= MAX_N, f"n={self.n}: must be at least 1 and at most {MAX_N}")
        _require(self.max_tokens is None or self.max_tokens >= 1,
                 f"max_tokens={self.max_tokens}: must be at least 1, or None for as many as fit")
        _require(self.min_tokens >= 0, f"min_tokens={self.min_tokens}: must not be negative")
        _require(self.max_tokens is None or self.min_tokens <= self.max_tokens,
                 f"min_tokens={self.min_tokens}: must not exceed max_tokens={self.max_tokens}")
        _require(self.seed is None or -2**63 <= self.seed < 2**64, f"seed={self.seed}: must fit into 64 bits")
        _require(0 <= self.temperature <= 2, f"temperature={self.temperature}: must be between 0 (greedy) and 2")
        _require(self.top_k >= -1, f"top_k={self.top_k}: must be at least 1, or 0 for all")
        _require(0 < self.top_p <= 1, f"top_p={self.top_p}: must be in (0, 1]")
        _require(0 <= self.min_p <= 1, f"min_p={self.min_p}: must be in [0, 1]")
        for name in ("presence_penalty", "frequency_penalty"):
            _require(-2 <= getattr(self, name) <= 2, f"{name}={getattr(self, name)}: must be between -2 and 2")
        _require(0 < self.repetition_penalty < math.inf, f"repetition_penalty={self.repetition_penalty}: must be positive and finite")
        for name in ("logprobs", "prompt_logprobs"):
            _require(getattr(self, name) is None or getattr(self, name) >= -1, f"{name}={getattr(self, name)}: must be -1 (all) or not negative")
        _require(all(self.stop), "stop: an empty string stops everything before it begins; leave it out")
        _require(not self.stop or self.detokenize, "stop strings need the text; leave detokenize=True")
        _require(all(self.bad_words), "bad_words: an empty word is everywhere; leave it out")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidSamplingParamsError(otherwise)


def _require_all(params: SamplingParams, name: str, expected: type, what: str) -> None:
    value = getattr(params, name)
    alone = isinstance(value, str) and name == "stop"       # vLLM takes one stop string without a list
    _require(value is None or alone or (isinstance(value, Collection) and not isinstance(value, (str, bytes))
                                        and all(isinstance(item, expected) for item in value)),
             f"{name}={value!r}: must be a list of {what}")
