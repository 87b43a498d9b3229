"""The engine's door: from what a user asks to requests that can be computed, or to a refusal.

Nothing changes here, so whoever is refused has left no trace. Mirrors
`v1/engine/input_processor.py::InputProcessor` and `sampling_params.py::SamplingParams.verify`.
"""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tokenizers import Tokenizer

from impl.errors import InferLabError, InvalidRequestError, InvalidSamplingParamsError
from impl.sampling_params import SamplingParams

Prompt = str | Sequence[int] | Mapping      # a text, token ids, or {"prompt": ...} or {"prompt_token_ids": ...}


class UnknownTokenError(InferLabError):
    """A token id that the model's vocabulary does not have."""


class InvalidPromptError(InferLabError):
    """A prompt that is neither text nor token ids, or text for a model without a tokenizer."""


class InputProcessor:
    """`eos_token_id` ends a sequence; so do `more_eos_token_ids`, unless a request ignores them. `drafts`: there is speculative decoding."""

    def __init__(self, tokenizer: Tokenizer | None, vocab_size: int, max_logprobs: int,
                 eos_token_id: int | None, more_eos_token_ids: tuple[int, ...], drafts: bool = False):
        self.tokenizer, self.vocab_size = tokenizer, vocab_size
        self.max_logprobs = vocab_size if max_logprobs == -1 else max_logprobs
        self.eos_token_id, self.more_eos_token_ids = eos_token_id, more_eos_token_ids
        self.drafts = drafts

    def require_types(self, request_id: str, params: SamplingParams, priority: int, cache_salt: str | None) -> None:
        """Raises `InvalidRequestError` for what would be compared or hashed only later, among others who would end with it."""
        for name, value, expected, what in (("request_id", request_id, str, "a text"), ("sampling_params", params, SamplingParams, "a SamplingParams"),
                                            ("priority", priority, int, "an integer"), ("cache_salt", cache_salt, str | None, "a text, or None")):
            if not isinstance(value, expected):
                raise InvalidRequestError(f"{name}={value!r}: must be {what}")

    def tokens(self, prompt: Prompt) -> tuple[str | None, list[int]]:
        """The text of a prompt, if it has one, and its token ids. Raises `InvalidPromptError` or `UnknownTokenError`."""
        text = prompt if isinstance(prompt, str) else None
        if isinstance(prompt, Mapping):
            text, prompt = prompt.get("prompt"), prompt.get("prompt_token_ids", prompt.get("prompt"))
        if isinstance(prompt, str):
            if self.tokenizer is None:
                raise InvalidPromptError("the prompt is text and the checkpoint has no tokenizer.json; give it token ids")
            return text, self.tokenizer.encode(prompt).ids
        if not isinstance(prompt, Sequence) or not all(isinstance(token_id, int) for token_id in prompt):
            raise InvalidPromptError(f"the prompt is {prompt!r}; give a text, a list of token ids, "
                                     "or a dict with prompt or prompt_token_ids")
        self._require_known("the prompt", prompt)
        return text, list(prompt)

    def params(self, params: SamplingParams) -> SamplingParams:
        """The parameters with what the model and its tokenizer know. Raises `InvalidSamplingParamsError` or `UnknownTokenError`."""
        self._verify(params)
        if params.eos_token_id is None:
            more = () if params.ignore_eos else self.more_eos_token_ids
            params = replace(params, eos_token_id=self.eos_token_id, more_eos_token_ids=self.more_eos_token_ids,
                             stop_token_ids=(*params.stop_token_ids, *more))
        if params.bad_words:
            params = replace(params, bad_words_token_ids=tuple(self._bad_words(params.bad_words)))
        return params

    def _verify(self, params: SamplingParams) -> None:
        for name in ("logprobs", "prompt_logprobs"):
            count = getattr(params, name)
            wanted = self.vocab_size if count == -1 else count or 0
            _require(wanted <= self.max_logprobs, f"{name}={count}: the engine gives at most {self.max_logprobs}; "
                                                  f"ask for fewer, or build it with max_logprobs={count}")
        _require(params.prompt_logprobs is None or params.skip_reading_prefix_cache is not False,
                 "skip_reading_prefix_cache=False: what is found in the prefix cache is not computed, and has no prompt_logprobs; leave out one")
        _require(params.allowed_token_ids is None or len(params.allowed_token_ids) > 0,
                 "allowed_token_ids is empty: nothing could come; leave it out, or allow something")
        _require(not ((params.stop or params.bad_words) and self.tokenizer is None),
                 "stop strings and bad_words need the text, and the checkpoint has no tokenizer.json; use token ids")
        for name in ("min_p", "logit_bias"):
            _require(not (self.drafts and getattr(params, name)),
                     f"{name}={getattr(params, name)}: drafts are verified without it, as in vLLM; leave it out, or build the engine without speculative_config")
        for name in ("stop_token_ids", "logit_bias", "allowed_token_ids"):
            self._require_known(name, getattr(params, name) or ())

    def _bad_words(self, words: Iterable[str]) -> Iterable[tuple[int, ...]]:
        """The token ids of each word, and of the same word behind a space where that is another token.

        Mirrors `SamplingParams.update_from_tokenizer`.
        """
        for word in words:
            alone, behind_space = (tuple(self.tokenizer.encode(prefix + word.lstrip(), add_special_tokens=False).ids) for prefix in ("", " "))
            _require(bool(alone), f"bad_words: {word!r} has no token; leave it out")
            yield alone
            if behind_space and behind_space[0] != alone[0] and len(behind_space) == len(alone):
                yield behind_space

    def _require_known(self, where: str, token_ids: Iterable[int]) -> None:
        unknown = [token_id for token_id in token_ids if not 0 <= token_id < self.vocab_size]
        if unknown:
            raise UnknownTokenError(f"{where}: token {unknown[0]} is not among the {self.vocab_size} of the model; use the model's own tokenizer")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidSamplingParamsError(otherwise)
