"""Stop string trie: your answer. The problem is in drills/data_structures/stop_string_trie/README.md."""


class StopChecker:
    """Watches a streamed text for stop strings, and passes on what cannot belong to one.

    Public: `stopped`, the stop string that was found, or None.
    With `include_in_output` the stop string is passed on as well.
    Raises `ValueError` for an empty stop string.
    """

    def __init__(self, stop: list[str], include_in_output: bool = False):
        raise NotImplementedError("stop_string_trie: StopChecker.__init__ is not written yet")

    def feed(self, text: str) -> str:
        """Take the next piece of text; returns what can be shown now. After a stop string this is always ""."""
        raise NotImplementedError("stop_string_trie: StopChecker.feed is not written yet")

    def finish(self) -> str:
        """The text ends here; returns what was held back."""
        raise NotImplementedError("stop_string_trie: StopChecker.finish is not written yet")
