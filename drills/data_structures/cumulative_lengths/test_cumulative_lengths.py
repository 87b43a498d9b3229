"""The judge of the cumulative lengths."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

LENGTHS = st.lists(st.integers(0, 3), max_size=8)


def owners(lengths):
    return [request for request, number in enumerate(lengths) for _ in range(number)]


@given(lengths=LENGTHS, padding=st.integers(0, 3))
def test_prefix_sums(answer, lengths, padding):
    before = list(lengths)
    got = list(answer.query_start_loc(lengths, len(lengths) + padding))
    right = [sum(lengths[:request]) for request in range(len(lengths) + padding + 1)]
    assert got == right, f"lengths {lengths}, padded to {len(lengths) + padding} requests: {right}, yours {got}"
    assert lengths == before, "the lengths were changed"


def test_padding_has_no_tokens(answer):
    got = list(answer.query_start_loc([2, 1], 4))
    assert got == [0, 2, 3, 3, 3], f"requests 2 and 3 are padding: they begin and end at 3, so the list never falls; yours {got}"
    assert list(answer.query_start_loc([], 0)) == [0], "no requests: a single 0, the end of nothing"


def test_too_many_requests_are_refused(answer):
    with pytest.raises(ValueError):
        answer.query_start_loc([1, 2, 3], 2)


def starts_of(lengths):
    return [sum(lengths[:request]) for request in range(len(lengths) + 1)]


def judge_find(answer, lengths):
    starts = starts_of(lengths)
    for token, owner in enumerate(owners(lengths)):
        got = answer.find_request(list(starts), token)
        assert got == owner, f"lengths {lengths}, starts {starts}: token {token} belongs to request {owner}, not {got}"


def test_the_first_and_the_last_token_of_a_request(answer):
    for lengths in ([1], [3], [2, 3], [1, 1, 1, 1], [5, 1, 2]):
        judge_find(answer, lengths)


def test_requests_without_tokens(answer):
    """Several begin at the same token: it belongs to the last of them."""
    for lengths in ([0, 2], [2, 0], [1, 0, 1], [0, 0, 3], [1, 0, 0, 0, 2, 0], [0, 1, 0, 0, 1]):
        judge_find(answer, lengths)


@given(lengths=LENGTHS)
def test_any_batch(answer, lengths):
    with pytest.raises(IndexError):
        answer.find_request(starts_of(lengths), sum(lengths))
    judge_find(answer, lengths)


def test_tokens_that_are_not_there(answer):
    for lengths, token in (([], 0), ([0, 0], 0), ([2, 3], 5), ([2, 3], 6), ([2, 3], -1), ([1, 0], 1)):
        with pytest.raises(IndexError):
            answer.find_request(starts_of(lengths), token)


class Watched(list):
    """A list that counts how many of its elements are read."""

    read = 0

    def __getitem__(self, index):
        got = super().__getitem__(index)
        Watched.read += len(got) if isinstance(index, slice) else 1
        return got

    def __iter__(self):
        for each in super().__iter__():
            Watched.read += 1
            yield each


def test_a_search_reads_a_logarithm(answer):
    starts = Watched(range(0, 3 * 1024 + 1, 3))
    for token in (0, 1500, 3071):
        Watched.read = 0
        got = answer.find_request(starts, token)
        assert got == token // 3, f"1024 requests of 3 tokens: token {token} belongs to request {token // 3}, not {got}"
        assert Watched.read <= 25, f"among 1024 requests, {Watched.read} starts were read for token {token}: a binary search reads about 11"


@given(lengths=LENGTHS)
def test_offsets_within_the_requests(answer, lengths):
    got = list(answer.offsets_within(starts_of(lengths)))
    right = [offset for number in lengths for offset in range(number)]
    assert got == right, f"lengths {lengths}: {right}, yours {got}"
