"""Frees everything before the window each time, the null block included."""

FAILS = {"test_any_table": "the null block was freed", "test_the_life_of_a_request": "the null block was freed",
         "test_a_step_costs_the_same_however_long_the_text": "needs no second look"}


def free_outside_window(block_table, num_computed_tokens, window, block_size, null_block):
    freed = []
    for index in reversed(range(min(max(0, num_computed_tokens - window + 1) // block_size, len(block_table)))):
        freed.append(block_table[index])
        block_table[index] = null_block
    return freed
