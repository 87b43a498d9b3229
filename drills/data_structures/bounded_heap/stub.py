"""Bounded heap: your answer. The problem is in drills/data_structures/bounded_heap/README.md."""


class TopK:
    """The k items with the largest scores of a stream; among equals, those that came first. Raises `ValueError` if k is below 1."""

    def __init__(self, k: int):
        raise NotImplementedError("bounded_heap: TopK.__init__ is not written yet")

    def __len__(self) -> int:
        raise NotImplementedError("bounded_heap: TopK.__len__ is not written yet")

    @property
    def threshold(self):
        """The score that a newcomer has to exceed; None while there is room."""
        raise NotImplementedError("bounded_heap: TopK.threshold is not written yet")

    def push(self, item, score) -> bool:
        """Take the next item of the stream; returns whether it is among the k best so far."""
        raise NotImplementedError("bounded_heap: TopK.push is not written yet")

    def best(self) -> list[tuple]:
        """(item, score) of the k best so far, the best first; equals in the order in which they came."""
        raise NotImplementedError("bounded_heap: TopK.best is not written yet")
