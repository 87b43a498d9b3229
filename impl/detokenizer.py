"""The incremental detokenizer: from tokens, one by one, to text; and the stop strings in it.

Mirrors `v1/engine/detokenizer.py::FastIncrementalDetokenizer`.
"""
from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from impl.sampling_params import SamplingParams


class Detokenizer:
    """The text of one request so far. A character that is not complete yet is not there yet."""

    def __init__(self, tokenizer: Tokenizer, prompt_token_ids: Sequence[int], params: SamplingParams):
        self.tokenizer, self.params = tokenizer, params
        # The prompt is behind the text, so that the first word begins as it should.
        self.stream = DecodeStream(ids=list(prompt_token_ids), skip_special_tokens=params.skip_special_tokens)
        self.text = ""
        self.num_tokens = 0

    def append(self, token_id: int, stops: bool) -> str | None:
        """Add a token; returns the stop string that it completes, if it does.

        `stops`: the token is itself the end (EOS or a stop token); it is no text
        then, unless `include_stop_str_in_output`.
        """
        self.num_tokens += 1
        length = len(self.text)
        if not stops or self.params.include_stop_str_in_output:
            self.text += self.stream.step(self.tokenizer, token_id) or ""
        if self.num_tokens <= self.params.min_tokens or len(self.text) == length:
            return None
        return self._cut_at_stop_string(len(self.text) - length)

    def _cut_at_stop_string(self, num_new: int) -> str | None:
        """Find the stop string that ends first in the new characters, and cut the text there."""
        found = []
        for stop in self.params.stop:
            start = self.text.find(stop, max(0, len(self.text) - num_new - len(stop) + 1))
            if start >= 0:
                found.append((start + len(stop), start, stop))
        if not found:
            return None
        end, start, stop = min(found, key=lambda match: match[0])
        self.text = self.text[:end if self.params.include_stop_str_in_output else start]
        return stop

    def visible(self, finished: bool) -> str:
        """The text that can be shown: what may turn out to begin a stop string is held back until the end."""
        held_back = 0 if finished or self.params.include_stop_str_in_output else max(map(len, self.params.stop), default=1) - 1
        return self.text[:len(self.text) - held_back] if held_back else self.text
