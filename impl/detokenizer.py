"""The incremental detokenizer: from tokens, one by one, to text; and the stop strings in it.

Mirrors `v1/engine/detokenizer.py::FastIncrementalDetokenizer`.
"""
from collections.abc import Sequence
from os.path import commonprefix

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from impl.sampling_params import SamplingParams

UNFINISHED = "\N{REPLACEMENT CHARACTER}"     # what decoding makes of bytes that are no character yet
LONGEST_CHARACTER = 4                       # bytes, so at most as many tokens


class Detokenizer:
    """The text of one request so far. A character that is not complete yet is not there yet."""

    def __init__(self, tokenizer: Tokenizer, prompt_token_ids: Sequence[int], params: SamplingParams):
        self.tokenizer, self.params = tokenizer, params
        # The prompt is behind the text, so that the first word begins as it should.
        self.stream = DecodeStream(ids=list(prompt_token_ids), skip_special_tokens=params.skip_special_tokens)
        self.text = ""
        self.num_tokens = 0
        # What may turn out to begin a stop string is shown when it has not.
        self.held_back = 0 if params.include_stop_str_in_output else max(map(len, params.stop), default=1) - 1
        self.close_up = {} if params.skip_special_tokens or params.spaces_between_special_tokens else {
            token_id: token.content for token_id, token in tokenizer.get_added_tokens_decoder().items()}
        self.after_special = False

    def append(self, token_id: int, stops: bool) -> str | None:
        """Add a token; returns the stop string that it completes, if it does.

        `stops`: the token is itself the end (EOS or a stop token); it is no text
        then, unless `include_stop_str_in_output`.
        """
        self.num_tokens += 1
        length = len(self.text)
        if not stops or self.params.include_stop_str_in_output:
            self.text += self._decode(token_id)
        if self.num_tokens <= self.params.min_tokens or len(self.text) == length:
            return None
        return self._cut_at_stop_string(len(self.text) - length)

    def _decode(self, token_id: int) -> str:
        """The text that a token completes."""
        text = self._step(token_id) or ""
        is_special, was_special = token_id in self.close_up, self.after_special
        self.after_special = is_special
        return self.close_up[token_id] if is_special and was_special else text      # without the space between the two

    def _step(self, token_id: int) -> str | None:
        try:
            return self.stream.step(self.tokenizer, token_id)
        except (OverflowError, TypeError):      # no token of this tokenizer
            return None
        except Exception as error:
            if not str(error).startswith("Invalid prefix encountered"):
                raise
            # Invalid bytes have shortened what was there before, and the stream cannot go on: begin anew, as vLLM does.
            self.stream = DecodeStream(skip_special_tokens=self.params.skip_special_tokens)
            return self.stream.step(self.tokenizer, token_id)

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
        """The text that can be shown: all of it at the end."""
        return self.text if finished or not self.held_back else self.text[:-self.held_back]


def decode_alone(tokenizer: Tokenizer, token_id: int, before: Sequence[int]) -> str:
    """The text of one token, for its logprob: the whole character if it completes the last of `before`, "" if it leaves one incomplete.

    Mirrors `v1/engine/logprobs.py::LogprobsProcessor._correct_decoded_token`.
    """
    def decode(token_ids: Sequence[int]) -> str:
        return tokenizer.decode(list(token_ids), skip_special_tokens=False) if token_ids else ""

    text = decode([token_id])
    if not text.endswith(UNFINISHED):
        return text
    for length in range(1, min(len(before), LONGEST_CHARACTER) + 1):
        context = before[-length:]
        text = decode([*context, token_id])
        if text.endswith(UNFINISHED):
            continue
        while context and decode(context[-1:]).endswith(UNFINISHED):    # bytes of the same character
            context = context[:-1]
        return text[len(commonprefix([text, decode(context)])):]
    return ""
