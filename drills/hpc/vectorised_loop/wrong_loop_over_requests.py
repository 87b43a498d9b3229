"""Numpy for the tokens of each request, and a loop over the requests: a thousand requests are a thousand small calls."""
import numpy as np

FAILS = {"test_the_lines_do_not_grow_with_the_batch": "for 1000: there is a loop"}


def prepare(token_ids, computed, scheduled, block_table, block_size):
    positions = [np.arange(first, first + number, dtype=np.int64) for first, number in zip(computed, scheduled)]
    nothing = [np.zeros(0, np.int64)]
    ids = [row[each] for row, each in zip(token_ids, positions)]
    slots = [row[each // block_size].astype(np.int64) * block_size + each % block_size for row, each in zip(block_table, positions)]
    return (np.concatenate([np.zeros(0, np.int32), *ids]), np.concatenate(nothing + positions), np.concatenate(nothing + slots),
            np.concatenate([[0], np.cumsum(scheduled)]).astype(np.int32))
