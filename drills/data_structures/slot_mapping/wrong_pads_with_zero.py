"""Leaves zeros beyond the tokens: the padding is written to slot 0 of block 0."""
from drills.data_structures.slot_mapping import solution

FAILS = {"test_padding": r"1 of padding: 1 of 5 numbers are wrong; the first at \[4\]: 0, should be -1"}


def slot_mapping(block_tables, query_start_loc, positions, block_size, num_padded):
    slots = solution.slot_mapping(block_tables, query_start_loc, positions, block_size, num_padded)
    slots[len(positions):] = 0
    return slots
