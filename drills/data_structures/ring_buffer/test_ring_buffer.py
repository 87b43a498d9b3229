"""The judge of the ring buffer."""
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play


class Oracle:
    """Slow and right."""

    def __init__(self, capacity):
        self.values = deque(maxlen=capacity)

    def push(self, value):
        gone = self.values[0] if len(self.values) == self.values.maxlen else None
        self.values.append(value)
        return gone

    def popleft(self):
        return self.values.popleft()

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)


INDEX = st.one_of(st.integers(-2, 1), st.integers(-6, 6))       # mostly one that is there, in a buffer that is seldom full
PUSH = st.tuples(st.just("push"), st.integers())
CALL = st.one_of(PUSH, PUSH, st.tuples(st.just("popleft")), st.tuples(st.just("__getitem__"), INDEX), st.tuples(st.just("__len__")))
# As often thirty as none: a list's own lengths are mostly a few, in which little happens.
CALLS = st.integers(0, 30).flatmap(lambda number: st.lists(CALL, min_size=number, max_size=number))


@given(capacity=st.integers(1, 5), calls=CALLS)
def test_any_sequence_of_calls(answer, capacity, calls):
    play(calls, answer.RingBuffer(capacity), Oracle(capacity))


def test_the_newest_is_at_minus_one(answer):
    buffer = answer.RingBuffer(3)
    buffer.push("oldest")
    buffer.push("newest")
    assert buffer[-1] == "newest", "buffer[-1] is the newest value, also while the buffer is not full"


def test_a_capacity_of_nothing_is_refused(answer):
    for capacity in (0, -1):
        with pytest.raises(ValueError):
            answer.RingBuffer(capacity)


def test_a_call_costs_the_same_whatever_the_capacity(answer):
    costs = {}
    for capacity in (10, 100, 1000):
        buffer = answer.RingBuffer(capacity)
        for value in range(capacity):
            buffer.push(value)
        costs[capacity] = count_lines(answer, lambda: (buffer.push(1), buffer[0], buffer[-1], buffer.popleft(), buffer.push(2)))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} for a capacity of 10, {costs[1000]} for a capacity of 1000: something moves all values"
