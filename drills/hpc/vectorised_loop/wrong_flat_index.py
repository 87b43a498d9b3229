"""Flattens the block table and takes the blocks in use for its width: right for the first request only."""
import numpy as np

FAILS = {"test_any_batch": r"slot_mapping\[\d+\] is", "test_slots_beyond_two_to_the_31": r"slot_mapping\[\d+\] is",
         "test_views_are_fine": r"slot_mapping\[\d+\] is"}


def prepare(token_ids, computed, scheduled, block_table, block_size):
    starts = np.concatenate([[0], np.cumsum(scheduled)]).astype(np.int32)
    requests = np.repeat(np.arange(len(scheduled)), scheduled)
    positions = np.arange(starts[-1], dtype=np.int64) - starts[requests] + computed[requests]
    width = -(-int((computed + scheduled).max(initial=1)) // block_size)
    blocks = block_table.ravel()[requests * width + positions // block_size].astype(np.int64)
    return token_ids[requests, positions], positions, blocks * block_size + positions % block_size, starts
