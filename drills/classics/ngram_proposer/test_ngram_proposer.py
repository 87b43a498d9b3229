"""The judge of the n-gram proposer."""
import random

from hypothesis import example, given
from hypothesis import strategies as st

from drills.judging import Counted, count_lines, grows


def oracle(token_ids, min_n, max_n, k, max_model_len):
    """Every n from the longest, every place from the earliest."""
    total = len(token_ids)
    k = max(0, min(k, max_model_len - total))
    for n in range(min(max_n, total - 1), min_n - 1, -1):
        for start in range(total - n):
            if token_ids[start:start + n] == token_ids[total - n:]:
                return token_ids[start + n:start + n + k]
    return []


def check(answer, token_ids, min_n, max_n, k, max_model_len=1000, why=""):
    right = oracle(token_ids, min_n, max_n, k, max_model_len)
    before = list(token_ids)
    got = answer.propose(token_ids, min_n, max_n, k, max_model_len)
    assert list(got) == right, f"propose({before}, min_n={min_n}, max_n={max_n}, k={k}, max_model_len={max_model_len}): got {got}, expected {right}{why}"
    assert token_ids == before, "the tokens are not yours to change"


@example(token_ids=[0, 0, 0, 1, 0, 0], min_n=1, more=5, k=2, room=7)
@given(token_ids=st.lists(st.integers(0, 2), max_size=14), min_n=st.integers(1, 4), more=st.integers(0, 3), k=st.integers(0, 5), room=st.integers(0, 7))
def test_any_tokens(answer, token_ids, min_n, more, k, room):
    check(answer, token_ids, min_n, min_n + more, k, len(token_ids) + room)


def test_the_longest_ngram_wins(answer):
    check(answer, [7, 2, 3, 50, 1, 2, 3, 60, 9, 2, 3, 70, 1, 2, 3], 1, 3, 1, why=": [1, 2, 3] came before, it is longer than [2, 3]")
    check(answer, [7, 2, 3, 50, 1, 2, 3, 60, 9, 2, 3, 70, 1, 2, 3], 1, 2, 1, why=": max_n is 2, so [1, 2, 3] is as good as [2, 3]")


def test_the_earliest_place_wins(answer):
    check(answer, [1, 2, 10, 1, 2, 20, 1, 2], 1, 4, 1, why=": [1, 2] comes twice, the earliest place counts: it has most tokens behind it")


def test_it_may_overlap_itself(answer):
    check(answer, [5] * 6, 1, 2, 3, why=": the earliest [5, 5] is at the beginning")
    check(answer, [5] * 6, 1, 9, 3, why=": five of the six come earlier too, overlapping; one token follows")
    check(answer, [5, 5], 1, 3, 3, why=": one token came before, and one follows it")


def test_borders_of_borders(answer):
    """After a mismatch the second-longest match must be tried, and the one after it."""
    check(answer, [1, 1, 2, 1, 1, 2, 1, 1, 1, 2, 1, 1], 2, 8, 4)
    check(answer, [0, 1, 0, 1, 1, 0, 1, 0, 1, 0], 1, 6, 2)
    generator = random.Random(0)
    for _ in range(300):
        token_ids = [generator.choice((0, 0, 0, 1)) for _ in range(generator.randrange(30))]
        check(answer, token_ids, generator.randrange(1, 3), generator.randrange(3, 12), 3)


def test_too_short_or_too_long(answer):
    for token_ids in ([], [1]):
        check(answer, token_ids, 1, 3, 2, why=": nothing came before")
    check(answer, [1, 2, 1, 2], 3, 5, 2, why=": [1, 2] is shorter than min_n")
    check(answer, [1, 2, 3, 1, 2, 3], 1, 3, 3, 7, ": the model has room for one token more")
    for max_model_len in (6, 5):
        check(answer, [1, 2, 3, 1, 2, 3], 1, 3, 3, max_model_len, ": the model has no room")


def test_linear_time(answer):
    """Equal tokens, and one among them that spoils every long match near its end. Each token is an object of its own, so that no comparison is free."""
    costs = {}
    for total in (40, 160):
        cost = 0
        for values in ([0] * total, [0] * (total // 2) + [1] + [0] * (total // 2), ([0] * 7 + [1]) * (total // 8)):
            for max_n in (8, total):
                Counted.number = 0
                token_ids = [Counted(value) for value in values]
                cost += count_lines(answer, lambda: answer.propose(token_ids, 1, max_n, 3, 10 * total)) + Counted.number
        costs[total] = cost
    assert grows(costs) < 1.2, (f"{costs[40]} lines and comparisons for 40 tokens, {costs[160]} for 160, where four times as many are linear: "
                                "a token may be looked at a few times, not once per place or once per length")
