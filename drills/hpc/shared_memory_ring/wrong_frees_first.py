"""Frees the slot and then takes the message out: the writer may be faster."""
from drills.hpc.shared_memory_ring import solution
from drills.hpc.shared_memory_ring.solution import _LENGTH, _READ, _WRITTEN, Writer, _look, _slot, _store, ring_bytes  # noqa: F401

FAILS = {"test_a_message_half_read_is_not_overwritten": "free only when the message has been taken out"}


class Reader(solution.Reader):
    def try_receive(self):
        if _look(self.buffer, _WRITTEN) == self.read:
            return None
        start = _slot(self.read, self.slots, self.slot_bytes)
        self.read += 1
        _store(self.buffer, _READ, self.read)
        length = _LENGTH.unpack_from(self.buffer, start)[0]
        return bytes(self.buffer[start + _LENGTH.size:start + _LENGTH.size + length])
