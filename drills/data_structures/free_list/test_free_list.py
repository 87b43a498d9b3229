"""The judge of the free list."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play

BLOCKS = 6


class Answer:
    """The answer, spoken to in block ids."""

    def __init__(self, answer, start):
        self.blocks = [answer.Block(block_id) for block_id in range(BLOCKS)]
        self.list = answer.FreeList([self.blocks[block_id] for block_id in start])

    def popleft(self):
        return self.list.popleft().block_id

    def remove(self, block_id):
        return self.list.remove(self.blocks[block_id])

    def append(self, block_id):
        return self.list.append(self.blocks[block_id])

    def prepend(self, block_id):
        return self.list.prepend(self.blocks[block_id])

    def order(self):
        ids = []
        for block in self.list:
            assert block is not None, f"from the front come {ids}, and then a link that is None: it leads through a block that has left"
            assert len(ids) < 100, f"the list runs in circles: {ids[:10]}..."
            ids.append(block.block_id)
        return ids

    def size(self):
        return len(self.list)


class Oracle:
    """Slow and right."""

    def __init__(self, start):
        self.ids = list(start)

    def popleft(self):
        return self.ids.pop(0)

    def remove(self, block_id):
        self.ids.remove(block_id)

    def append(self, block_id):
        if block_id in self.ids:
            raise ValueError
        self.ids.append(block_id)

    def prepend(self, block_id):
        if block_id in self.ids:
            raise ValueError
        self.ids.insert(0, block_id)

    def order(self):
        return self.ids

    def size(self):
        return len(self.ids)


def links_are_right(thing):
    listed = list(thing.list)
    for left, right in zip(listed, listed[1:]):
        assert left.next_free_block is right, f"{left} comes before {right}, but its next_free_block is {left.next_free_block}"
        assert right.prev_free_block is left, f"{right} comes after {left}, but its prev_free_block is {right.prev_free_block}: go backwards as well"
    for block in thing.blocks:
        if block not in listed:
            assert block.prev_free_block is None and block.next_free_block is None, (
                f"{block} is in no list, and still links to {block.prev_free_block} and {block.next_free_block}: set both links to None")


IDS = st.integers(0, BLOCKS - 1)
CALL = st.one_of(st.tuples(st.just("popleft")), *(st.tuples(st.just(name), IDS) for name in ("remove", "append", "prepend")))
CALLS = st.integers(0, 20).flatmap(lambda number: st.lists(CALL, min_size=number, max_size=number))


@given(start=st.lists(IDS, unique=True), calls=CALLS)
def test_any_sequence_of_calls(answer, start, calls):
    looks = [each for call in calls for each in (call, ("order",), ("size",))]
    play([("order",), *looks], Answer(answer, start), Oracle(start), links_are_right)


def test_a_block_leaves_from_the_middle(answer):
    thing = Answer(answer, range(5))
    thing.remove(2)
    assert thing.order() == [0, 1, 3, 4], f"0 1 2 3 4 without 2 is 0 1 3 4, not {thing.order()}"
    thing.remove(3)
    assert thing.order() == [0, 1, 4], f"0 1 3 4 without 3 is 0 1 4, not {thing.order()}: does 3 know that its left neighbour has changed?"
    links_are_right(thing)


def test_a_block_freed_twice_is_refused(answer):
    for method in ("append", "prepend"):
        for listed in ([0], [1, 0], [0, 1], [1, 0, 2]):
            thing = Answer(answer, listed)
            with pytest.raises(ValueError):
                getattr(thing, method)(0)
            assert thing.order() == listed, f"a refused {method} changes nothing: {listed} has become {thing.order()}"


def test_what_is_not_in_the_list_cannot_leave(answer):
    thing = Answer(answer, [0, 1, 2])
    assert thing.popleft() == 0
    thing.remove(2)
    for block_id in (0, 2, 3):
        with pytest.raises(ValueError):
            thing.remove(block_id)
    assert thing.order() == [1], f"a refused remove changes nothing: [1] has become {thing.order()}"
    assert thing.popleft() == 1
    with pytest.raises(IndexError):
        thing.popleft()


def test_a_call_costs_the_same_whatever_the_length(answer):
    costs = {}
    for length in (10, 100, 1000):
        blocks = [answer.Block(block_id) for block_id in range(length)]
        free = answer.FreeList(blocks)

        def calls():
            free.remove(blocks[length // 2])
            free.append(blocks[length // 2])
            free.prepend(free.popleft())
            free.remove(blocks[-1])
            free.append(blocks[-1])
            len(free)
        costs[length] = count_lines(answer, calls)
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} for 10 blocks, {costs[1000]} for 1000: something walks through the list"
