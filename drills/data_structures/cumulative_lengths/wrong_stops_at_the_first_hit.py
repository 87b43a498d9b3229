"""Returns as soon as a start equals the token: of several requests that begin there, perhaps one without tokens."""
from drills.data_structures.cumulative_lengths.solution import offsets_within, query_start_loc

FAILS = {"test_requests_without_tokens": r"lengths \[1, 0, 1\].*token 1 belongs to request 2, not 1|belongs to request", "test_any_batch": "belongs to request"}


def find_request(starts, token):
    if not 0 <= token < starts[-1]:
        raise IndexError
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if starts[middle] == token:
            return middle
        if starts[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low - 1
