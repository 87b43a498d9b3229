"""Returns a view of the slot, to save a copy: the next message is written over it."""
from drills.hpc.shared_memory_ring import solution
from drills.hpc.shared_memory_ring.solution import _LENGTH, _READ, _WRITTEN, Writer, _look, _slot, _store, ring_bytes  # noqa: F401

FAILS = {"test_a_message_does_not_change_afterwards": "the message received before became",
         "test_a_message_half_read_is_not_overwritten": "a slot is free only"}


class Reader(solution.Reader):
    def try_receive(self):
        if _look(self.buffer, _WRITTEN) == self.read:
            return None
        start = _slot(self.read, self.slots, self.slot_bytes)
        length = _LENGTH.unpack_from(self.buffer, start)[0]
        message = self.buffer[start + _LENGTH.size:start + _LENGTH.size + length]
        self.read += 1
        _store(self.buffer, _READ, self.read)
        return message
