"""Incremental detokenisation: your answer. The problem is in drills/classics/incremental_detokenisation/README.md."""

REPLACEMENT = "\ufffd"


class Vocabulary:
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
        raise NotImplementedError("incremental_detokenisation: Detokenizer.__init__ is not written yet")

    def add(self, token_id: int) -> str:
        """The new text after one more token: "" as long as it may end within a character."""
        raise NotImplementedError("incremental_detokenisation: Detokenizer.add is not written yet")

    def finish(self) -> str:
        """What was held back, when no token comes any more; a broken character shows as U+FFFD."""
        raise NotImplementedError("incremental_detokenisation: Detokenizer.finish is not written yet")
