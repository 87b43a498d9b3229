"""Returns the freed blocks in the order of the text: the beginning of a prefix is then evicted before its end."""
from drills.data_structures.sliding_window_freeing import solution

FAILS = {"test_a_table_that_ends_before_the_window": "the last one first", "test_any_table": "the last one first",
         "test_the_life_of_a_request": "the last one first"}


def free_outside_window(block_table, num_computed_tokens, window, block_size, null_block):
    return solution.free_outside_window(block_table, num_computed_tokens, window, block_size, null_block)[::-1]
