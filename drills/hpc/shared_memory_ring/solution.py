"""Two counters which only ever grow: the writer alone advances one, the reader alone the other, each after its work."""
import struct

_LENGTH = struct.Struct("I")
_COUNTER = 8       # bytes
_WRITTEN = 0       # offsets
_READ = 8
_SLOTS = 16


def ring_bytes(slots: int, slot_bytes: int) -> int:
    """The memory that a ring needs for `slots` messages of at most `slot_bytes` each. Raises `ValueError` if either is below 1."""
    if slots < 1 or slot_bytes < 1:
        raise ValueError(f"{slots} slots of {slot_bytes} bytes hold no message")
    return _SLOTS + slots * (_LENGTH.size + slot_bytes)


class Writer:
    """The end that sends. `buffer` has `ring_bytes` bytes or more, all zero when the first end is made."""

    def __init__(self, buffer: memoryview, slots: int, slot_bytes: int):
        self.buffer, self.slots, self.slot_bytes = buffer, slots, slot_bytes
        self.written = _look(buffer, _WRITTEN)

    def try_send(self, message: bytes) -> bool:
        """Put a message into the ring; False, and nothing happens, if there is no room. Raises `ValueError` if it is too long."""
        if len(message) > self.slot_bytes:
            raise ValueError(f"a message of {len(message)} bytes does not fit into a slot of {self.slot_bytes}")
        if self.written - _look(self.buffer, _READ) == self.slots:
            return False
        start = _slot(self.written, self.slots, self.slot_bytes)
        _LENGTH.pack_into(self.buffer, start, len(message))
        start += _LENGTH.size
        self.buffer[start:start + len(message)] = message
        self.written += 1
        _store(self.buffer, _WRITTEN, self.written)     # last: now the reader may look
        return True


class Reader:
    """The end that receives, in another process."""

    def __init__(self, buffer: memoryview, slots: int, slot_bytes: int):
        self.buffer, self.slots, self.slot_bytes = buffer, slots, slot_bytes
        self.read = _look(buffer, _READ)

    def try_receive(self) -> bytes | None:
        """The oldest message, which leaves the ring; None if there is none."""
        if _look(self.buffer, _WRITTEN) == self.read:
            return None
        start = _slot(self.read, self.slots, self.slot_bytes)
        length = _LENGTH.unpack_from(self.buffer, start)[0]
        start += _LENGTH.size
        message = bytes(self.buffer[start:start + length])
        self.read += 1
        _store(self.buffer, _READ, self.read)           # last: now the writer may overwrite the slot
        return message


def _look(buffer: memoryview, offset: int) -> int:
    """A counter, loaded at once."""
    return buffer[offset:offset + _COUNTER].cast("Q")[0]


def _store(buffer: memoryview, offset: int, value: int) -> None:
    """Set a counter by one store of 8 bytes. `struct.pack_into` would clear them first, and the other side could see that 0."""
    buffer[offset:offset + _COUNTER].cast("Q")[0] = value


def _slot(number: int, slots: int, slot_bytes: int) -> int:
    """Where the slot of the message of that number begins."""
    return _SLOTS + number % slots * (_LENGTH.size + slot_bytes)
