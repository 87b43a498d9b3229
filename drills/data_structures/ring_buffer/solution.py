"""An array that never moves, the index of the oldest element, and how many there are."""


class RingBuffer:
    """The last `capacity` values that were pushed. Raises `ValueError` if that is below 1."""

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"a capacity of {capacity} holds nothing: it must be at least 1")
        self.slots = [None] * capacity
        self.start = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int):
        """The index-th oldest value; from the newest if negative. Raises `IndexError`."""
        if not -self.size <= index < self.size:
            raise IndexError(f"index {index} of {self.size} values")
        return self.slots[(self.start + index % self.size) % len(self.slots)]

    def push(self, value):
        """Add the newest value; returns the oldest if it had to go for that, else None."""
        end = (self.start + self.size) % len(self.slots)
        gone, self.slots[end] = self.slots[end], value
        if self.size < len(self.slots):
            self.size += 1
            return None
        self.start = (self.start + 1) % len(self.slots)
        return gone

    def popleft(self):
        """Remove the oldest value and return it. Raises `IndexError`."""
        value, self.slots[self.start] = self[0], None
        self.start = (self.start + 1) % len(self.slots)
        self.size -= 1
        return value
