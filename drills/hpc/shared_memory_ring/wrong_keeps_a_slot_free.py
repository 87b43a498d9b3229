"""Keeps one slot free, as rings do whose two places would be equal when full and when empty; counters need no such slot."""
from drills.hpc.shared_memory_ring import solution
from drills.hpc.shared_memory_ring.solution import _READ, Reader, _look, ring_bytes  # noqa: F401

FAILS = {"test_any_sequence_of_calls": "yours: returns False", "test_every_slot_is_used": "yours took 0",
         "test_it_goes_round_many_times": "1 slots: 0 messages", "test_a_message_does_not_change_afterwards": "None|cannot",
         "test_a_message_half_written_is_not_received": "found no room", "test_a_message_half_read_is_not_overwritten": "None came"}


class Writer(solution.Writer):
    def try_send(self, message):
        full = self.written - _look(self.buffer, _READ) == self.slots - 1
        return False if full and len(message) <= self.slot_bytes else super().try_send(message)
