"""Leaves zeros behind the last request: the list falls, and the padding has a negative number of tokens."""
from drills.data_structures.cumulative_lengths import solution
from drills.data_structures.cumulative_lengths.solution import find_request, offsets_within

FAILS = {"test_prefix_sums": "padded to", "test_padding_has_no_tokens": "the list never falls"}


def query_start_loc(num_tokens, num_padded):
    starts = solution.query_start_loc(num_tokens, num_padded)
    starts[len(num_tokens) + 1:] = [0] * (num_padded - len(num_tokens))
    return starts
