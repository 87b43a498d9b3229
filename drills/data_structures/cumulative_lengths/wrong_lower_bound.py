"""Searches for the first start that is not before the token: a request's first token goes to its predecessor."""
from bisect import bisect_left

from drills.data_structures.cumulative_lengths.solution import offsets_within, query_start_loc

FAILS = {"test_the_first_and_the_last_token_of_a_request": "token 0 belongs to request 0, not -1", "test_requests_without_tokens": "belongs to request",
         "test_any_batch": "belongs to request", "test_a_search_reads_a_logarithm": "belongs to request"}


def find_request(starts, token):
    if not 0 <= token < starts[-1]:
        raise IndexError
    return bisect_left(starts, token) - 1
