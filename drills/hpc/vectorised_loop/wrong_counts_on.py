"""Counts the positions on through the whole batch: the second request does not begin at its own first new token."""
import numpy as np

FAILS = {"test_any_batch": r"(positions|input_ids)\[\d+\] is", "test_slots_beyond_two_to_the_31": r"input_ids\[\d+\] is",
         "test_views_are_fine": r"input_ids\[\d+\] is"}


def prepare(token_ids, computed, scheduled, block_table, block_size):
    starts = np.concatenate([[0], np.cumsum(scheduled)]).astype(np.int32)
    requests = np.repeat(np.arange(len(scheduled)), scheduled)
    positions = np.arange(starts[-1], dtype=np.int64) + computed[requests]
    inside = np.minimum(positions, token_ids.shape[1] - 1)
    blocks = block_table[requests, inside // block_size].astype(np.int64)
    return token_ids[requests, inside], positions, blocks * block_size + positions % block_size, starts
