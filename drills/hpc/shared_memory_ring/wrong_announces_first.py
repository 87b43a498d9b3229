"""Advances the counter and then writes the message: the reader may look in between."""
from drills.hpc.shared_memory_ring import solution
from drills.hpc.shared_memory_ring.solution import _LENGTH, _READ, _WRITTEN, Reader, _look, _slot, _store, ring_bytes  # noqa: F401

FAILS = {"test_a_message_half_written_is_not_received": "announced only when it is there"}


class Writer(solution.Writer):
    def try_send(self, message):
        if len(message) > self.slot_bytes:
            raise ValueError
        if self.written - _look(self.buffer, _READ) == self.slots:
            return False
        start = _slot(self.written, self.slots, self.slot_bytes)
        self.written += 1
        _store(self.buffer, _WRITTEN, self.written)
        _LENGTH.pack_into(self.buffer, start, len(message))
        self.buffer[start + _LENGTH.size:start + _LENGTH.size + len(message)] = message
        return True
