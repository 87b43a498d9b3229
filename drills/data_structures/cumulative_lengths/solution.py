"""Where each request begins in a flat batch, and the search in it."""


def query_start_loc(num_tokens: list[int], num_padded: int) -> list[int]:
    """The prefix sums of the numbers of tokens, `num_padded + 1` entries: request r has the tokens from entry r up to entry r + 1.

    The requests beyond the given ones are padding and have no tokens. Raises `ValueError` if there are more than `num_padded`.
    """
    if len(num_tokens) > num_padded:
        raise ValueError(f"{len(num_tokens)} requests do not fit into {num_padded}")
    starts = [0]
    for number in num_tokens:
        starts.append(starts[-1] + number)
    return starts + [starts[-1]] * (num_padded - len(num_tokens))


def find_request(starts: list[int], token: int) -> int:
    """Which request a token of the batch belongs to. Raises `IndexError` if there is no such token."""
    if not 0 <= token < starts[-1]:
        raise IndexError(f"token {token} of {starts[-1]}")
    low, high = 0, len(starts) - 1
    while low < high:                   # the first request that begins behind the token is in low..high
        middle = (low + high) // 2
        if starts[middle] <= token:
            low = middle + 1
        else:
            high = middle
    return low - 1


def offsets_within(starts: list[int]) -> list[int]:
    """For each token of the batch, how many of its request come before it: 0, 1, 2, ... anew for each request."""
    return [token - start for start, end in zip(starts, starts[1:]) for token in range(start, end)]
