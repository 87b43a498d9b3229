"""Sliding window freeing: your answer. The problem is in drills/data_structures/sliding_window_freeing/README.md."""


def free_outside_window(block_table: list, num_computed_tokens: int, window: int, block_size: int, null_block) -> list:
    """Replace the blocks that no later token sees by the null block, in place, and return them, the last one first.

    A token at position p sees the positions from p - window + 1 to p. The next token is at position `num_computed_tokens`.
    What is before the first block that is not the null block has been freed earlier.
    """
    raise NotImplementedError("sliding_window_freeing: free_outside_window is not written yet")
