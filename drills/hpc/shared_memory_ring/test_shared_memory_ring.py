"""The judge of the shared memory ring. It lets the other end act after each line of one end, and then uses two processes."""
import contextlib
import multiprocessing
import random
import sys
from collections import deque
from multiprocessing import shared_memory
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.hpc.fakes import receive_in_rounds
from drills.judging import play


class Ring:
    """Both ends of the answer's ring, in memory of this process."""

    def __init__(self, answer, slots, slot_bytes):
        # What lies behind is rubbish, as a page has it.
        memory = memoryview(bytearray(answer.ring_bytes(slots, slot_bytes)) + bytes([0xAA]) * 64)
        self.writer, self.reader = answer.Writer(memory, slots, slot_bytes), answer.Reader(memory, slots, slot_bytes)
        self.memory = memory

    def send(self, message):
        return self.writer.try_send(message)

    def receive(self):
        message = self.reader.try_receive()
        return message if message is None else ("bytes", bytes(message))


class Oracle:
    def __init__(self, slots, slot_bytes):
        self.messages, self.slots, self.slot_bytes = deque(), slots, slot_bytes

    def send(self, message):
        if len(message) > self.slot_bytes:
            raise ValueError
        if len(self.messages) == self.slots:
            return False
        self.messages.append(message)
        return True

    def receive(self):
        return ("bytes", self.messages.popleft()) if self.messages else None


def message(number, most):
    """All bytes of a message are alike, its length tells who it is: half of one and half of another show."""
    return bytes([number % 251 + 1]) * (number * 7 % most + 1)


@given(slots=st.integers(1, 4), calls=st.lists(st.one_of(st.tuples(st.just("send"), st.binary(max_size=9)), st.tuples(st.just("receive"))), max_size=40))
def test_any_sequence_of_calls(answer, slots, calls):
    ring = Ring(answer, slots, 8)

    def nothing_behind(_):
        assert bytes(ring.memory[-64:]) == bytes([0xAA]) * 64, "something was written behind the ring: does ring_bytes count everything?"

    play(calls, ring, Oracle(slots, 8), nothing_behind)


def test_every_slot_is_used(answer):
    for slots in (1, 2, 3, 8):
        ring = Ring(answer, slots, 4)
        taken = sum(ring.send(b"abcd") for _ in range(slots + 2))
        assert taken == slots, f"a ring of {slots} slots takes {slots} messages before the first is received, yours took {taken}"


def test_it_goes_round_many_times(answer):
    for slots in (1, 2, 3, 5):
        ring, sent, received = Ring(answer, slots, 16), 0, 0
        random.seed(slots)
        for _ in range(300):
            for _ in range(random.randint(0, slots + 1)):
                sent += ring.send(message(sent, 16))
            for _ in range(random.randint(0, slots + 1)):
                got = ring.reader.try_receive()
                if got is not None:
                    assert got == message(received, 16), f"{slots} slots: message {received} was {message(received, 16)}, received {got}"
                    received += 1
        assert sent >= 100, f"{slots} slots: {sent} messages went through where hundreds could have"


def test_a_message_does_not_change_afterwards(answer):
    ring = Ring(answer, 1, 8)
    ring.send(b"first")
    got = ring.reader.try_receive()
    ring.send(b"SECOND")
    assert got == b"first" and isinstance(got, bytes), f"the slot was used again, and the message received before became {bytes(got)}: copy it"


def after_each_line(answer, function, what):
    """Call `function`, and `what` after each line of the answer that it executes: the other process may act then."""
    def trace(frame, event, _):
        if Path(frame.f_code.co_filename).parent != Path(answer.__file__).parent:
            return None
        if event in ("line", "return"):
            what()      # is not traced itself
        return trace

    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(None)


def test_a_message_half_written_is_not_received(answer):
    for slots in (1, 2, 3):
        ring, received = Ring(answer, slots, 32), []

        def other():
            got = ring.reader.try_receive()
            if got is not None:
                received.append(bytes(got))

        for number in range(12):
            sent = after_each_line(answer, lambda: ring.writer.try_send(message(number, 32)), other)
            assert sent, f"{slots} slots: all messages had been received, and try_send found no room for message {number}"
            other()
            right = [message(i, 32) for i in range(number + 1)]
            assert received == right, (f"{slots} slots: the reader looked while message {number} was being sent, and received {received[number:]} instead "
                                       f"of {right[number:]}: a message is announced only when it is there, as a whole")


def test_a_message_half_read_is_not_overwritten(answer):
    for slots in (1, 2, 3):
        ring, sent = Ring(answer, slots, 32), 0

        def other():
            nonlocal sent
            for _ in range(slots + 1):
                sent += ring.writer.try_send(message(sent, 32))

        other()
        for number in range(12):
            got = after_each_line(answer, ring.reader.try_receive, other)
            other()
            assert got == message(number, 32), (f"{slots} slots: the writer sent what it could while message {number} was being received: {got} came, not "
                                                f"{message(number, 32)}: a slot is free only when the message has been taken out")


def test_two_processes(answer):
    context = multiprocessing.get_context("forkserver")
    slots, slot_bytes = 4, 64
    memory = shared_memory.SharedMemory(create=True, size=answer.ring_bytes(slots, slot_bytes))
    writer, ours, theirs = answer.Writer(memory.buf, slots, slot_bytes), *context.Pipe()
    process = context.Process(target=receive_in_rounds, args=(answer.__file__, memory.name, slots, slot_bytes, theirs), daemon=True)
    random.seed(1)
    try:
        process.start()
        sent = received = 0
        for _ in range(40):
            taken = 0
            for _ in range(random.randint(1, slots + 1)):
                taken += writer.try_send(message(sent + taken, slot_bytes))
            right, sent = [message(sent + i, slot_bytes) for i in range(taken)], sent + taken
            ours.send("receive what is there")
            assert ours.poll(60), "the other process does not answer: look for a loop that does not end"
            got = ours.recv()
            if isinstance(got, Exception):
                raise got
            assert got == right, f"after {received} messages, {right} were sent, and the other process received {got}"
            received += len(got)
        assert received >= 40, f"{received} messages went through where a hundred could have"
    finally:
        process.kill()
        process.join()
        writer = None
        with contextlib.suppress(BufferError):      # somebody holds a view of it still
            memory.close()
        memory.unlink()


def test_nonsense_is_refused(answer):
    for slots, slot_bytes in ((0, 8), (8, 0), (-1, 8)):
        with pytest.raises(ValueError):
            answer.ring_bytes(slots, slot_bytes)
