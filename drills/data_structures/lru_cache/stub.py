"""LRU cache: your answer. The problem is in drills/data_structures/lru_cache/README.md."""
from collections.abc import Hashable, Iterator


class LRUCache:
    """At most `capacity` values by key; iterating gives the keys that may be evicted, the next one first.

    Raises `ValueError` if the capacity is below 1.
    """

    def __init__(self, capacity: int):
        raise NotImplementedError("lru_cache: LRUCache.__init__ is not written yet")

    def __len__(self) -> int:
        """How many values there are, pinned ones included."""
        raise NotImplementedError("lru_cache: LRUCache.__len__ is not written yet")

    def __contains__(self, key: Hashable) -> bool:
        """Whether there is a value. Looking is not using."""
        raise NotImplementedError("lru_cache: LRUCache.__contains__ is not written yet")

    def __iter__(self) -> Iterator[Hashable]:
        """The keys that are not pinned, the least recently used first."""
        raise NotImplementedError("lru_cache: LRUCache.__iter__ is not written yet")

    def get(self, key: Hashable, default=None):
        """The value, which is now the most recently used; or the default."""
        raise NotImplementedError("lru_cache: LRUCache.get is not written yet")

    def put(self, key: Hashable, value) -> tuple | None:
        """Set a value, which is now the most recently used. Returns (key, value) of the one that had to go, or None.

        Raises `RuntimeError`, with nothing changed, if one has to go and all are pinned.
        """
        raise NotImplementedError("lru_cache: LRUCache.put is not written yet")

    def pin(self, key: Hashable) -> None:
        """Protect a value from eviction; again has no effect. Raises `KeyError` if there is none."""
        raise NotImplementedError("lru_cache: LRUCache.pin is not written yet")

    def unpin(self, key: Hashable) -> None:
        """End the protection: the value is now the most recently used. No effect if it is not pinned. Raises `KeyError`."""
        raise NotImplementedError("lru_cache: LRUCache.unpin is not written yet")
