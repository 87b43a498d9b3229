"""Ring buffer: your answer. The problem is in drills/data_structures/ring_buffer/README.md."""


class RingBuffer:
    """The last `capacity` values that were pushed. Raises `ValueError` if that is below 1."""

    def __init__(self, capacity: int):
        raise NotImplementedError("ring_buffer: RingBuffer.__init__ is not written yet")

    def __len__(self) -> int:
        raise NotImplementedError("ring_buffer: RingBuffer.__len__ is not written yet")

    def __getitem__(self, index: int):
        """The index-th oldest value; from the newest if negative. Raises `IndexError`."""
        raise NotImplementedError("ring_buffer: RingBuffer.__getitem__ is not written yet")

    def push(self, value):
        """Add the newest value; returns the oldest if it had to go for that, else None."""
        raise NotImplementedError("ring_buffer: RingBuffer.push is not written yet")

    def popleft(self):
        """Remove the oldest value and return it. Raises `IndexError`."""
        raise NotImplementedError("ring_buffer: RingBuffer.popleft is not written yet")
