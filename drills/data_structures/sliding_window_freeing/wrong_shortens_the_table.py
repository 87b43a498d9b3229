"""Takes freed blocks out of the table: all later positions then lead to the wrong block."""
from drills.data_structures.sliding_window_freeing import solution

FAILS = {"test_the_border": "it has to stay", "test_a_table_that_ends_before_the_window": "it has to stay", "test_any_table": "it has to stay",
         "test_the_life_of_a_request": "it has to stay"}


def free_outside_window(block_table, num_computed_tokens, window, block_size, null_block):
    freed = solution.free_outside_window(block_table, num_computed_tokens, window, block_size, null_block)
    del block_table[:len(freed)]
    return freed
