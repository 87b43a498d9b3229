"""A trie of the stop strings, and for each node the longest other node in which its text ends: nothing is read twice."""
from collections import deque


class _Node:
    """Some first characters of a stop string."""

    def __init__(self, depth: int):
        self.depth = depth                          # how many characters
        self.children: dict[str, _Node] = {}
        self.fallback: _Node | None = None          # the longest other node that is a suffix of this one
        self.stop: int | None = None                # the first in the list of those stop strings that end here


class StopChecker:
    """Watches a streamed text for stop strings, and passes on what cannot belong to one.

    Public: `stopped`, the stop string that was found, or None.
    With `include_in_output` the stop string is passed on as well.
    Raises `ValueError` for an empty stop string.
    """

    def __init__(self, stop: list[str], include_in_output: bool = False):
        if "" in stop:
            raise ValueError("an empty stop string would stop before the first character")
        self.stopped: str | None = None
        self._stop = stop
        self._include = include_in_output
        self._held = ""                 # came, and was not passed on
        self._root = self._node = _Node(0)
        for number, string in enumerate(stop):
            self._add(number, string)
        self._link()

    def feed(self, text: str) -> str:
        """Take the next piece of text; returns what can be shown now. After a stop string this is always ""."""
        if self.stopped is not None:
            return ""
        for index, character in enumerate(text):
            self._node = self._next(character)
            if self._node.stop is not None:
                self.stopped = self._stop[self._node.stop]
                shown = self._held + text[:index + 1]
                self._held = ""
                return shown if self._include else shown[:len(shown) - len(self.stopped)]
        return self._show(self._held + text, 0 if self._include else self._node.depth)

    def finish(self) -> str:
        """The text ends here; returns what was held back."""
        return self._show(self._held, 0)

    def _show(self, text: str, hold: int) -> str:
        """Pass on a text, except for its last characters."""
        shown, self._held = text[:len(text) - hold], text[len(text) - hold:]
        return shown

    def _add(self, number: int, string: str) -> None:
        node = self._root
        for depth, character in enumerate(string, 1):
            node = node.children.setdefault(character, _Node(depth))
        node.stop = number if node.stop is None else node.stop

    def _link(self) -> None:
        """Find the fallback of each node: shallow ones first, since those of deep ones are shallower."""
        nodes = deque([self._root])
        while nodes:
            node = nodes.popleft()
            for character, child in node.children.items():
                fallback = node.fallback
                while fallback and character not in fallback.children:
                    fallback = fallback.fallback
                child.fallback = fallback.children[character] if fallback else self._root
                if child.fallback.stop is not None and (child.stop is None or child.fallback.stop < child.stop):
                    child.stop = child.fallback.stop
                nodes.append(child)

    def _next(self, character: str) -> _Node:
        """The longest end of the text that some stop string begins with."""
        node = self._node
        while node and character not in node.children:
            node = node.fallback
        return node.children[character] if node else self._root
