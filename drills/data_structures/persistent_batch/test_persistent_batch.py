"""The judge of the persistent batch."""
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows, play

np = pytest.importorskip("numpy", reason="needs numpy: make setup")

ROWS, TOKENS = 5, 8


class Oracle:
    """Slow and right: a list of rows, each None or [id, tokens, temperature]."""

    def __init__(self):
        self.rows = []

    def row(self, request):
        for index, each in enumerate(self.rows):
            if each and each[0] == request:
                return index
        raise KeyError

    def add(self, request, tokens, temperature):
        if None not in self.rows:
            if len(self.rows) == ROWS:
                raise ValueError
            self.rows.append(None)
        index = self.rows.index(None)
        self.rows[index] = [request, list(tokens), temperature]
        return index

    def append(self, request, token):
        self.rows[self.row(request)][1].append(token)

    def remove(self, request):
        index = self.row(request)
        self.rows[index] = None
        return index

    def condense(self):
        moves = []
        while None in self.rows:
            last = self.rows.pop()
            if last:
                moves.append((len(self.rows), self.rows.index(None)))
                self.rows[moves[-1][1]] = last
        return moves

    def swap(self, one, other):
        self.rows[one], self.rows[other] = self.rows[other], self.rows[one]

    def look(self):
        return {"num_requests": sum(each is not None for each in self.rows),
                **{each[0]: {"row": index, "tokens": each[1], "temperature": each[2]} for index, each in enumerate(self.rows) if each}}


class Answer:
    """The answer; a look reads the arrays that it had at the beginning, as whoever copies them to the GPU does."""

    def __init__(self, answer):
        self.batch, self.ids = answer.PersistentBatch(ROWS, TOKENS), set()
        self.arrays = self.batch.token_ids, self.batch.num_tokens, self.batch.temperature
        for array in self.arrays:
            array.fill(77)      # nobody promised zeros

    def __getattr__(self, name):
        return getattr(self.batch, name)

    def add(self, request, tokens, temperature):
        self.ids.add(request)
        return int(self.batch.add(request, tokens, temperature))

    def condense(self):
        return [(int(source), int(target)) for source, target in self.batch.condense()]

    def look(self):
        looks, (tokens, number, temperature) = {"num_requests": self.batch.num_requests}, self.arrays
        rows = {}
        for request in self.ids:
            try:
                rows[request] = int(self.batch.row(request))
            except KeyError:
                continue
        for request, row in sorted(rows.items(), key=lambda item: item[1]):
            looks[request] = {"row": row, "tokens": tokens[row, :number[row]].tolist(), "temperature": float(temperature[row])}
        return looks


def life(draw):
    """Calls that a model runner would make: the oracle says what is possible."""
    oracle, calls = Oracle(), []
    for step in range(draw(st.integers(0, 20))):
        running = [each[0] for each in oracle.rows if each]
        what = draw(st.sampled_from(["add", "add", "append", "remove", "remove", "condense", "swap"]))
        if what == "add":
            calls.append((what, f"r{step}", draw(st.lists(st.integers(1, 99), max_size=3)), step / 4))
        elif what == "condense":
            calls.append((what,))
        elif what == "swap" and running:
            calls.append((what, oracle.row(draw(st.sampled_from(running))), oracle.row(draw(st.sampled_from(running)))))
        elif what == "append" and [each for each in running if len(oracle.rows[oracle.row(each)][1]) < TOKENS]:
            calls.append((what, draw(st.sampled_from([each for each in running if len(oracle.rows[oracle.row(each)][1]) < TOKENS])), step + 100))
        elif what == "remove":
            calls.append((what, draw(st.sampled_from([*running, "stranger"]))))
        else:
            continue
        with suppress(KeyError, ValueError):
            getattr(oracle, what)(*calls[-1][1:])
        calls.append(("look",))
    return calls


@given(data=st.data())
def test_the_life_of_a_batch(answer, data):
    thing = Answer(answer)
    play(life(data.draw), thing, Oracle())


def filled(answer, number, rows=ROWS):
    thing = Answer(answer)
    for request in range(number):
        thing.add(f"r{request}", [request * 10 + index for index in range(request + 1)], request / 4)
    return thing


def test_the_last_fills_the_hole(answer):
    thing = filled(answer, 4)
    thing.remove("r1")
    moves = thing.condense()
    assert moves == [(3, 1)], f"rows 0 . 2 3: only the last row has to move, to row 1; yours moved {moves}"
    look = thing.look()
    assert look["r3"] == {"row": 1, "tokens": [30, 31, 32, 33], "temperature": 0.75}, f"r3 moved to row 1 with all that belongs to it; yours has {look['r3']}"


def test_holes_at_the_end_need_no_move(answer):
    thing = filled(answer, 5)
    for request in ("r2", "r4", "r3"):
        thing.remove(request)
    moves = thing.condense()
    assert moves == [], f"rows 0 1 . . . : all requests are in front already; yours moved {moves}"
    thing.remove("r0")
    assert thing.condense() == [(1, 0)], "rows . 1: row 1 moves to row 0"
    thing.remove("r1")
    assert thing.condense() == [] and thing.add("new", [1], 0.0) == 0, "an empty batch begins again at row 0"


def test_a_hole_is_taken_by_a_newcomer(answer):
    thing = filled(answer, 4)
    thing.remove("r2")
    thing.remove("r0")
    row = thing.add("new", [5, 6], 0.5)
    assert row == 0, f"rows . 1 . 3: the lowest hole is row 0, not {row}"
    moves = thing.condense()
    assert moves == [(3, 2)], f"rows 0 1 . 3: one hole is left, row 2; yours moved {moves}"


def test_two_rows_change_places(answer):
    thing = filled(answer, 3)
    thing.swap(0, 2)
    look = thing.look()
    assert look["r0"] == {"row": 2, "tokens": [0], "temperature": 0.0}, f"r0 is in row 2 now, with its token 0 and its temperature 0; yours: {look['r0']}"
    assert look["r2"] == {"row": 0, "tokens": [20, 21, 22], "temperature": 0.5}, f"r2 is in row 0 now, with tokens 20 21 22; yours: {look['r2']}"
    thing.append("r0", 9)
    assert thing.look()["r0"]["tokens"] == [0, 9], "a token for r0 goes to its new row"


def test_a_full_batch_refuses(answer):
    thing = filled(answer, ROWS)
    with pytest.raises(ValueError):
        thing.batch.add("one more", [1], 0.0)
    thing.remove("r3")
    assert thing.add("one more", [1], 0.0) == 3, "row 3 is free again"


def test_the_arrays_stay(answer):
    """Others keep a reference: the copy to the GPU, a CUDA graph."""
    thing = filled(answer, 4)
    thing.remove("r0")
    thing.condense()
    thing.swap(0, 1)
    names = ("token_ids", "num_tokens", "temperature")
    for name, array, dtype, shape in zip(names, thing.arrays, ("int32", "int32", "float32"), ((ROWS, TOKENS), (ROWS,), (ROWS,))):
        assert getattr(thing.batch, name) is array, f"{name} has become another array: write into the one there is"
        assert (array.dtype.name, array.shape) == (dtype, shape), f"{name} is {dtype} {shape}, not {array.dtype} {array.shape}"


def test_who_leaves_costs_the_same_however_many_run(answer):
    costs = {}
    for number in (10, 100, 1000):
        batch = answer.PersistentBatch(number, 4)
        for request in range(number):
            batch.add(request, [1], 1.0)
        costs[number] = count_lines(answer, lambda: (batch.remove(1), batch.condense(), batch.add(number, [2], 0.5), batch.row(number)))
    assert grows(costs) < 0.1, f"lines executed: {costs[10]} among 10 requests, {costs[1000]} among 1000: one hole is one move"
