"""Forgets that a token sees itself: counts a window of one more, and holds a block for one step too long."""
from drills.data_structures.sliding_window_freeing import solution

FAILS = {"test_the_border": "it should be freed now", "test_any_table": "it should be freed now", "test_the_life_of_a_request": "it should be freed now"}


def free_outside_window(block_table, num_computed_tokens, window, block_size, null_block):
    return solution.free_outside_window(block_table, num_computed_tokens, window + 1, block_size, null_block)
