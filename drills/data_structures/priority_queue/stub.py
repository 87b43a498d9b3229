"""Priority queue: your answer. The problem is in drills/data_structures/priority_queue/README.md."""
from collections.abc import Hashable


class PriorityQueue:
    """Items by priority, the smallest first; among equals, the one that was pushed first."""

    def __init__(self):
        raise NotImplementedError("priority_queue: PriorityQueue.__init__ is not written yet")

    def __len__(self) -> int:
        raise NotImplementedError("priority_queue: PriorityQueue.__len__ is not written yet")

    def __contains__(self, item: Hashable) -> bool:
        raise NotImplementedError("priority_queue: PriorityQueue.__contains__ is not written yet")

    def push(self, item: Hashable, priority) -> None:
        """Add an item. Raises `ValueError` if it is in the queue."""
        raise NotImplementedError("priority_queue: PriorityQueue.push is not written yet")

    def peek(self):
        """The first item, which stays. Raises `IndexError` if there is none."""
        raise NotImplementedError("priority_queue: PriorityQueue.peek is not written yet")

    def pop(self):
        """Remove the first item and return it. Raises `IndexError` if there is none."""
        raise NotImplementedError("priority_queue: PriorityQueue.pop is not written yet")

    def remove(self, item: Hashable) -> None:
        """Remove an item, wherever it is. Raises `KeyError` if it is not in the queue."""
        raise NotImplementedError("priority_queue: PriorityQueue.remove is not written yet")
