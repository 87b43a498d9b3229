"""The judge of byte pair encoding."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import count_lines, grows


def table(*merged):
    """All bytes by their value, and what was merged, in the order of learning, from 256 on."""
    return {bytes([byte]): byte for byte in range(256)} | {token: 256 + i for i, token in enumerate(merged)}


def oracle(text, ranks):
    pieces = [bytes([byte]) for byte in text]
    while True:
        pairs = [(ranks[one + other], i) for i, (one, other) in enumerate(zip(pieces, pieces[1:])) if one + other in ranks]
        if not pairs:
            return pieces
        i = min(pairs)[1]
        pieces[i:i + 2] = [pieces[i] + pieces[i + 1]]


def check(answer, text, ranks, why=""):
    right = oracle(text, ranks)
    got = answer.encode(text, dict(ranks))
    names = {rank: token for token, rank in ranks.items()}
    shown = [names.get(token, token) for token in got]
    merged = {token: rank for token, rank in ranks.items() if len(token) > 1}
    assert shown == right, f"{text} with {merged}: got {shown}, expected {right}{why}"


def test_no_text_and_no_merges(answer):
    for text in (b"", b"a", b"ab", "é".encode()):
        check(answer, text, table(), why=": nothing to merge, a token per byte")


def test_the_lowest_rank_goes_first(answer):
    check(answer, b"abc", table(b"bc", b"ab"), why=": bc has the lower rank, although ab comes first")
    check(answer, b"abc", table(b"ab", b"bc"), why=": ab has the lower rank")
    check(answer, b"abcd", table(b"bc", b"ab", b"cd"), why=": once b and c are one piece, neither ab nor cd can be merged")


def test_a_token_must_be_reached_by_merges(answer):
    check(answer, b"abc", table(b"abc"), why=": abc is a token, but neither ab nor bc is: nothing leads to it")
    check(answer, b"abcd", table(b"bc", b"ab", b"cd", b"abcd"), why=": abcd would need ab and cd, and bc goes first")
    check(answer, b"abcd", table(b"ab", b"cd", b"abcd"), why=": ab, cd, and then both")


def test_of_equals_the_leftmost(answer):
    check(answer, b"aaa", table(b"aa"), why=": the pair at the left goes first, and then the one at the right is gone")
    check(answer, b"aaaaaaa", table(b"aa", b"aaaa"))


def test_a_pair_that_is_gone(answer):
    """A pair that was found earlier may have lost one of its pieces, or a piece may have grown."""
    check(answer, b"abcb", table(b"bc", b"ab", b"cb", b"bcb", b"abcb"))
    check(answer, b"abca", table(b"ca", b"bc", b"ab", b"abca"))
    check(answer, b"abcd", table(b"bc", b"ab", b"bcd", b"abc"), why=": the pair of a and b was found first, and is gone when bc is one piece")
    check(answer, b"xaby", table(b"ab", b"xa", b"by", b"aby"))


@given(data=st.data())
def test_any_text(answer, data):
    tokens = [b"a", b"b", b"c"]
    for _ in range(data.draw(st.integers(0, 8), label="merges")):
        one, other = (data.draw(st.sampled_from(tokens)) for _ in range(2))
        if one + other not in tokens:
            tokens.append(one + other)
    text = bytes(data.draw(st.lists(st.sampled_from(b"abc"), max_size=16), label="text"))
    check(answer, text, table(*tokens[3:]))


def test_longer_texts(answer):
    generator = random.Random(0)
    for _ in range(60):
        tokens = [b"a", b"b", b"c"]
        while len(tokens) < 40:
            token = generator.choice(tokens) + generator.choice(tokens)
            if token not in tokens:
                tokens.append(token)
        check(answer, bytes(generator.choice(b"abc") for _ in range(generator.randrange(60))), table(*tokens[3:]))


def test_a_byte_without_a_rank(answer):
    assert answer.encode(b"ab", {b"a": 0, b"b": 1}) == [0, 1]
    with pytest.raises(KeyError):
        answer.encode(b"ax", {b"a": 0, b"b": 1})


class Rank(int):
    """A rank that counts its comparisons."""

    number = 0

    def __lt__(self, other):
        Rank.number += 1
        return int(self) < int(other)

    def __gt__(self, other):
        Rank.number += 1
        return int(self) > int(other)

    __hash__ = int.__hash__


def test_long_texts_cost_little_more_than_their_length(answer):
    letters = bytes(range(ord("a"), ord("z") + 1))
    generator = random.Random(1)
    pairs = [bytes([one, other]) for one in letters for other in letters]
    generator.shuffle(pairs)
    ranks = {token: Rank(rank) for token, rank in table(*pairs).items()}
    doubled = {token: Rank(rank) for token, rank in table(*(b"a" * 2 ** i for i in range(1, 12))).items()}
    costs = {}
    for size in (50, 400):
        text = bytes(generator.choice(letters) for _ in range(size))
        Rank.number = 0
        costs[size] = count_lines(answer, lambda: (answer.encode(text, ranks), answer.encode(b"a" * size, doubled))) + Rank.number
    assert grows(costs) < 1.4, (f"{costs[50]} lines and comparisons of ranks for 50 bytes, {costs[400]} for 400: eight times as many would be linear, and a "
                                "heap costs a little more; do not look at every pair again after each merge")
