"""Two offsets into the tokens: text up to the second has been sent, text from the first is decoded again for its context."""

REPLACEMENT = "\ufffd"


class Vocabulary:  # given
    """A tokenizer's way back, in small: a token is some bytes, and the first word of a text loses its leading space.

    Both are as in real ones: a character may be spread over several tokens, and what a token looks like depends on
    those before it. `decoded` counts the tokens that went through `decode`.
    """

    def __init__(self, tokens: list[bytes]):
        self.tokens = tokens
        self.decoded = 0

    def decode(self, token_ids: list[int]) -> str:
        self.decoded += len(token_ids)
        text = b"".join(self.tokens[token_id] for token_id in token_ids).decode("utf-8", errors="replace")
        return text.removeprefix(" ")


class Detokenizer:
    """The text of one request, as its tokens come."""

    def __init__(self, vocabulary: Vocabulary, prompt_token_ids: list[int]):
        self.vocabulary = vocabulary
        self.token_ids = list(prompt_token_ids)
        self.read_offset = len(self.token_ids)
        self.prefix_offset = max(self.read_offset - 5, 0)

    def add(self, token_id: int) -> str:
        """The new text after one more token: "" as long as it may end within a character."""
        self.token_ids.append(token_id)
        before, text = self._prefix_and_text()
        if len(text) <= len(before) or text.endswith(REPLACEMENT):
            return ""
        self.prefix_offset, self.read_offset = self.read_offset, len(self.token_ids)
        return text[len(before):]

    def finish(self) -> str:
        """What was held back, when no token comes any more; a broken character shows as U+FFFD."""
        before, text = self._prefix_and_text()
        self.prefix_offset = self.read_offset = len(self.token_ids)
        return text[len(before):]

    def _prefix_and_text(self) -> tuple[str, str]:
        before = self.vocabulary.decode(self.token_ids[self.prefix_offset:self.read_offset])
        return before, self.vocabulary.decode(self.token_ids[self.prefix_offset:])
