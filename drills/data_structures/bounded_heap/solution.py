"""A heap of the k best so far, with the worst of them on top: a newcomer has to beat that one only."""
import heapq


class TopK:
    """The k items with the largest scores of a stream; among equals, those that came first. Raises `ValueError` if k is below 1."""

    def __init__(self, k: int):
        if k < 1:
            raise ValueError(f"the best {k} are none: k must be at least 1")
        self.k = k
        self._arrivals = 0
        self._heap: list[tuple] = []        # (score, minus arrival, item): of equals, the one that came last is the worst

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def threshold(self):
        """The score that a newcomer has to exceed; None while there is room."""
        return self._heap[0][0] if len(self._heap) == self.k else None

    def push(self, item, score) -> bool:
        """Take the next item of the stream; returns whether it is among the k best so far."""
        self._arrivals += 1
        if len(self._heap) < self.k:
            heapq.heappush(self._heap, (score, -self._arrivals, item))
            return True
        if self._heap[0][0] < score:
            heapq.heapreplace(self._heap, (score, -self._arrivals, item))
            return True
        return False

    def best(self) -> list[tuple]:
        """(item, score) of the k best so far, the best first; equals in the order in which they came."""
        return [(item, score) for score, _, item in sorted(self._heap, reverse=True)]
