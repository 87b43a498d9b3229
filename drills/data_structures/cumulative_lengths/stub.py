"""Cumulative lengths: your answer. The problem is in drills/data_structures/cumulative_lengths/README.md."""


def query_start_loc(num_tokens: list[int], num_padded: int) -> list[int]:
    """The prefix sums of the numbers of tokens, `num_padded + 1` entries: request r has the tokens from entry r up to entry r + 1.

    The requests beyond the given ones are padding and have no tokens. Raises `ValueError` if there are more than `num_padded`.
    """
    raise NotImplementedError("cumulative_lengths: query_start_loc is not written yet")


def find_request(starts: list[int], token: int) -> int:
    """Which request a token of the batch belongs to. Raises `IndexError` if there is no such token."""
    raise NotImplementedError("cumulative_lengths: find_request is not written yet")


def offsets_within(starts: list[int]) -> list[int]:
    """For each token of the batch, how many of its request come before it: 0, 1, 2, ... anew for each request."""
    raise NotImplementedError("cumulative_lengths: offsets_within is not written yet")
