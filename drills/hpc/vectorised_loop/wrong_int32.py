"""Multiplies block numbers in int32, as the block table has them: large slots become negative."""
import numpy as np

FAILS = {"test_slots_beyond_two_to_the_31": r"slot_mapping\[0\] is \d+, yours -?\d+"}


def prepare(token_ids, computed, scheduled, block_table, block_size):
    starts = np.concatenate([[0], np.cumsum(scheduled)]).astype(np.int32)
    requests = np.repeat(np.arange(len(scheduled)), scheduled)
    positions = (np.arange(starts[-1], dtype=np.int32) - starts[requests] + computed[requests]).astype(np.int32)
    slots = block_table[requests, positions // block_size] * block_size + positions % block_size
    return token_ids[requests, positions], positions.astype(np.int64), slots.astype(np.int64), starts
