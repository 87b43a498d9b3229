"""A dictionary to find an entry, and a linked list of the entries that may be evicted, the least recently used in front."""
from collections.abc import Hashable, Iterator

from drills.data_structures.free_list.solution import FreeList


class _Entry:
    """A key, its value, and the links of the list."""

    def __init__(self, key: Hashable):
        self.key, self.value = key, None
        self.prev_free_block = self.next_free_block = None


class LRUCache:
    """At most `capacity` values by key; iterating gives the keys that may be evicted, the next one first.

    Raises `ValueError` if the capacity is below 1.
    """

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"a capacity of {capacity} holds nothing: it must be at least 1")
        self.capacity = capacity
        self._entries: dict[Hashable, _Entry] = {}
        self._pinned: set[Hashable] = set()
        self._evictable = FreeList()

    def __len__(self) -> int:
        """How many values there are, pinned ones included."""
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        """Whether there is a value. Looking is not using."""
        return key in self._entries

    def __iter__(self) -> Iterator[Hashable]:
        """The keys that are not pinned, the least recently used first."""
        return (entry.key for entry in self._evictable)

    def get(self, key: Hashable, default=None):
        """The value, which is now the most recently used; or the default."""
        if key not in self._entries:
            return default
        self._use(key)
        return self._entries[key].value

    def put(self, key: Hashable, value) -> tuple | None:
        """Set a value, which is now the most recently used. Returns (key, value) of the one that had to go, or None.

        Raises `RuntimeError`, with nothing changed, if one has to go and all are pinned.
        """
        gone = None
        if key in self._entries:
            self._use(key)
        else:
            if len(self._entries) == self.capacity:
                if len(self._pinned) == self.capacity:
                    raise RuntimeError(f"all {self.capacity} values are pinned")
                oldest = self._evictable.popleft()
                del self._entries[oldest.key]
                gone = oldest.key, oldest.value
            self._entries[key] = _Entry(key)
            self._evictable.append(self._entries[key])
        self._entries[key].value = value
        return gone

    def pin(self, key: Hashable) -> None:
        """Protect a value from eviction; again has no effect. Raises `KeyError` if there is none."""
        entry = self._entries[key]
        if key not in self._pinned:
            self._pinned.add(key)
            self._evictable.remove(entry)

    def unpin(self, key: Hashable) -> None:
        """End the protection: the value is now the most recently used. No effect if it is not pinned. Raises `KeyError`."""
        entry = self._entries[key]
        if key in self._pinned:
            self._pinned.remove(key)
            self._evictable.append(entry)

    def _use(self, key: Hashable) -> None:
        if key not in self._pinned:
            self._evictable.remove(self._entries[key])
            self._evictable.append(self._entries[key])
