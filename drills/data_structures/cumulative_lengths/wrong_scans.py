"""Looks at one request after another: right, and linear in the size of the batch for each token."""
from drills.data_structures.cumulative_lengths.solution import offsets_within, query_start_loc

FAILS = {"test_a_search_reads_a_logarithm": "a binary search reads about 11"}


def find_request(starts, token):
    if token >= 0:
        for request in range(len(starts) - 1):
            if token < starts[request + 1]:
                return request
    raise IndexError
