"""Which blocks no later token will see, found from the window backwards."""


def free_outside_window(block_table: list, num_computed_tokens: int, window: int, block_size: int, null_block) -> list:
    """Replace the blocks that no later token sees by the null block, in place, and return them, the last one first.

    A token at position p sees the positions from p - window + 1 to p. The next token is at position `num_computed_tokens`.
    What is before the first block that is not the null block has been freed earlier.
    """
    first_seen = max(0, num_computed_tokens - window + 1)
    index = min(first_seen // block_size, len(block_table)) - 1     # the last block that ends before the first position seen
    freed = []
    while index >= 0 and block_table[index] is not null_block:
        freed.append(block_table[index])
        block_table[index] = null_block
        index -= 1
    return freed
