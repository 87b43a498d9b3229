"""Frees the block in which the window begins as well: its last tokens are still seen."""
from drills.data_structures.sliding_window_freeing import solution

FAILS = {"test_the_border": "still seen", "test_any_table": "still seen", "test_the_life_of_a_request": "still seen"}


def free_outside_window(block_table, num_computed_tokens, window, block_size, null_block):
    first_seen = max(0, num_computed_tokens - window + 1)
    rounded_up = -(-first_seen // block_size) * block_size
    return solution.free_outside_window(block_table, rounded_up + window - 1, window, block_size, null_block)
