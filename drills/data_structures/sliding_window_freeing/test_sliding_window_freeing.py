"""The judge of sliding window freeing."""
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows


class Block:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


NULL = Block("null")


def judge(answer, table, computed, window, block_size):
    """One call: what was freed, what the table has become, and what is still seen."""
    before, seen_from = list(table), max(0, computed - window + 1)
    story = f"window {window}, blocks of {block_size}, {computed} tokens computed, table {before}: position {computed} comes next and sees from {seen_from} on;"
    got = answer.free_outside_window(table, computed, window, block_size, NULL)
    assert isinstance(got, list), f"return a list of blocks, not {got!r}"
    assert len(table) == len(before), (
        f"{story} the table has {len(table)} entries instead of {len(before)}: an entry's index is its place in the sequence, it has to stay")
    for index, block in enumerate(before):
        if block is NULL:
            continue
        ends = (index + 1) * block_size - 1     # its last position
        if ends >= seen_from:
            assert table[index] is block and block not in got, f"{story} block {index} ends at position {ends} and is still seen: it must not be freed"
        else:
            assert block in got, f"{story} block {index} ends at position {ends}, which no later token sees: it should be freed now"
            assert table[index] is NULL, f"{story} block {index} was freed, so its entry has to become the null block"
    assert NULL not in got, f"{story} the null block was freed: what was freed earlier must not be freed again"
    right = [block for index, block in reversed(list(enumerate(before))) if block is not NULL and (index + 1) * block_size - 1 < seen_from]
    assert got == right, f"{story} {right} are to be freed, each once, the last one first; yours: {got}"
    return got


def table_of(number):
    return [Block(f"b{index}") for index in range(number)]


def test_the_border(answer):
    """Block 0 has the positions 0 to 3. Position 3 is out of sight when position 3 + window comes next."""
    for window in (1, 2, 3, 4, 5, 9):
        for computed in range(3 + window - 2, 3 + window + 2):
            judge(answer, table_of(5), computed, window, 4)


def test_nothing_leaves_a_window_that_is_not_full(answer):
    for computed in (0, 1, 7):
        judge(answer, table_of(2), computed, 8, 4)
    judge(answer, [], 0, 8, 4)


def test_a_table_that_ends_before_the_window(answer):
    """The blocks for the tokens that come are not there yet."""
    judge(answer, table_of(2), 40, 8, 4)
    judge(answer, [], 40, 8, 4)


@given(nulls=st.integers(0, 4), blocks=st.integers(0, 6), computed=st.integers(0, 40), window=st.integers(1, 12), block_size=st.integers(1, 5))
def test_any_table(answer, nulls, blocks, computed, window, block_size):
    judge(answer, [NULL] * nulls + table_of(blocks), computed, window, block_size)


@given(window=st.integers(1, 10), block_size=st.integers(1, 4), chunks=st.lists(st.integers(1, 7), max_size=8))
def test_the_life_of_a_request(answer, window, block_size, chunks):
    """A prompt in chunks, then tokens one by one: every block is freed at most once, as soon as it can be."""
    table, computed, freed, number = [], 0, [], 0
    for chunk in [*chunks, *[1] * 6]:
        while len(table) * block_size < computed + chunk:
            table.append(Block(f"b{number}"))
            number += 1
        computed += chunk
        freed += judge(answer, table, computed, window, block_size)
    held = [block for block in table if block is not NULL]
    assert len(freed) == len(set(freed)) and len(freed) + len(held) == number, (
        f"window {window}, blocks of {block_size}, chunks {chunks}: of {number} blocks {len(held)} are held and "
        f"{len(freed)} were freed, {len(set(freed))} different ones")


def test_a_step_costs_the_same_however_long_the_text(answer):
    """At every step of decoding there is one block to free, or none."""
    costs = {}
    for length in (100, 1000):
        table = table_of(length)
        answer.free_outside_window(table, 4 * (length - 3), 4, 4, NULL)
        costs[length] = count_lines(answer, lambda: [answer.free_outside_window(table, 4 * (length - 3) + step, 4, 4, NULL) for step in range(8)])
    assert grows(costs) < 0.1, (f"lines executed in 8 steps: {costs[100]} with 100 blocks, {costs[1000]} with 1000: "
                                "what was freed earlier needs no second look, begin at the window and go backwards")
