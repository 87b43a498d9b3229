"""The judge of the priority queue."""
import gc
import random
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import Counted, play


class Oracle:
    """Slow and right: a list in the order of arrival."""

    def __init__(self):
        self.items = []

    def push(self, item, priority):
        if item in self:
            raise ValueError
        self.items.append((item, priority))

    def peek(self):
        if not self.items:
            raise IndexError
        return min(self.items, key=lambda each: each[1])[0]

    def pop(self):
        first = self.peek()
        self.remove(first)
        return first

    def remove(self, item):
        if item not in self:
            raise KeyError
        self.items = [each for each in self.items if each[0] != item]

    def __contains__(self, item):
        return any(each[0] == item for each in self.items)

    def __len__(self):
        return len(self.items)


ITEMS = st.sampled_from("abc")
CALL = st.one_of(st.tuples(st.just("push"), ITEMS, st.integers(0, 2)), st.tuples(st.just("push"), ITEMS, st.integers(0, 2)),
                 st.tuples(st.just("pop")), st.tuples(st.just("remove"), ITEMS), st.tuples(st.just("peek")), st.tuples(st.just("__contains__"), ITEMS))
CALLS = st.integers(0, 20).flatmap(lambda number: st.lists(CALL, min_size=number, max_size=number))


@given(calls=CALLS)
def test_any_sequence_of_calls(answer, calls):
    """In the end all are popped: that shows the order."""
    play([each for call in [*calls, *[("pop",)] * 4] for each in (call, ("__len__",))], answer.PriorityQueue(), Oracle())


def test_equal_priorities_keep_their_order(answer):
    queue = answer.PriorityQueue()
    for item in ("zoe", "adam", "mia", "bob"):
        queue.push(item, 1)
    queue.push("first", 0)
    order = [queue.pop() for _ in range(5)]
    assert order == ["first", "zoe", "adam", "mia", "bob"], f"equal priorities: in the order of arrival, zoe adam mia bob; yours: {order}"


def test_items_are_not_compared(answer):
    queue, items = answer.PriorityQueue(), [object() for _ in range(8)]
    for item in items:
        queue.push(item, 0)
    assert [queue.pop() for _ in items] == items, "items that cannot be compared come in the order of arrival"


def test_who_comes_back_has_one_entry(answer):
    """A request that is preempted, and waits again with another priority."""
    queue = answer.PriorityQueue()
    queue.push("a", 0)
    queue.push("b", 1)
    queue.remove("a")
    queue.push("a", 2)
    order = [queue.pop(), queue.pop()]
    assert order == ["b", "a"], f"a was removed and came back with priority 2, after b: the entry of before must not come to life; yours: {order}"
    with pytest.raises(IndexError):
        queue.pop()


def test_what_is_not_there_is_refused(answer):
    queue = answer.PriorityQueue()
    for call in (queue.pop, queue.peek):
        with pytest.raises(IndexError):
            call()
    with pytest.raises(KeyError):
        queue.remove("a")
    queue.push("a", 0)
    with pytest.raises(ValueError):
        queue.push("a", 1)
    queue.remove("a")
    with pytest.raises(KeyError):
        queue.remove("a")
    assert len(queue) == 0 and "a" not in queue, "a was removed: the queue is empty"


class Priority(Counted):
    """A priority that counts comparisons."""

    __hash__ = Counted.__hash__


def comparisons(function):
    Counted.number = 0
    function()
    return Counted.number


def test_removing_does_not_build_the_heap_anew(answer):
    """Aborted requests: each removal may cost a logarithm on average."""
    number, rng = 512, random.Random(0)
    queue, priorities = answer.PriorityQueue(), [rng.random() for _ in range(number)]
    for item, priority in enumerate(priorities):
        queue.push(item, Priority(priority))
    order = list(range(number))
    rng.shuffle(order)
    cost = comparisons(lambda: [queue.remove(item) for item in order[:384]])
    most = 20 * 384
    assert cost < most, f"removing 384 of 512 items took {cost} comparisons, with a logarithm for each it would be less than {most}: mark, do not rebuild"
    popped = []
    cost = comparisons(lambda: popped.extend(queue.pop() for _ in range(128)))
    assert cost < 2 * most, f"popping the other 128 took {cost} comparisons, should be less than {2 * most}"
    right = sorted(order[384:], key=priorities.__getitem__)
    wrong = next((place for place in range(128) if popped[place] != right[place]), None)
    assert wrong is None, f"after 384 of 512 items were removed, pop number {wrong + 1} of the others gave another than the smallest: is it still a heap?"


def test_the_dead_do_not_pile_up(answer):
    """One request waits behind a long queue, while a thousand others come and are aborted."""
    queue, alive = answer.PriorityQueue(), weakref.WeakSet()

    class Item:
        pass

    def visit():
        item = Item()
        alive.add(item)
        queue.push(item, 5)
        queue.remove(item)

    queue.push("first", 0)
    for _ in range(1000):
        visit()
    if len(alive) > 200:        # perhaps in cycles
        gc.collect()
    assert len(alive) <= 200, f"1 item is in the queue and 1000 were removed, {len(alive)} of which are still held: clean up when most entries are dead"
    assert queue.pop() == "first"
