"""A heap of (priority, arrival, item), in which what was removed stays until it comes to the top, or until it is too much."""
import heapq
import itertools
from collections.abc import Hashable


class PriorityQueue:
    """Items by priority, the smallest first; among equals, the one that was pushed first."""

    def __init__(self):
        self._arrivals = itertools.count()
        self._entries: dict[Hashable, tuple] = {}       # the entry of each item that is in the queue
        self._heap: list[tuple] = []                    # these entries, and some that are dead

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, item: Hashable) -> bool:
        return item in self._entries

    def push(self, item: Hashable, priority) -> None:
        """Add an item. Raises `ValueError` if it is in the queue."""
        if item in self._entries:
            raise ValueError(f"{item!r} is in the queue already")
        # No two arrivals are equal, so items are never compared.
        entry = self._entries[item] = (priority, next(self._arrivals), item)
        heapq.heappush(self._heap, entry)

    def peek(self):
        """The first item, which stays. Raises `IndexError` if there is none."""
        if not self._entries:
            raise IndexError("the queue is empty")
        while not self._is_alive(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][2]

    def pop(self):
        """Remove the first item and return it. Raises `IndexError` if there is none."""
        item = self.peek()
        heapq.heappop(self._heap)
        del self._entries[item]
        return item

    def remove(self, item: Hashable) -> None:
        """Remove an item, wherever it is. Raises `KeyError` if it is not in the queue."""
        del self._entries[item]
        if len(self._heap) > 2 * len(self._entries) + 32:       # more dead than alive: begin anew
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)

    def _is_alive(self, entry: tuple) -> bool:
        """Whether this entry is the item's present one: it may have been removed, and pushed anew."""
        return self._entries.get(entry[2]) is entry
