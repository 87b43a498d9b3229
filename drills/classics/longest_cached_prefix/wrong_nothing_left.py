"""Takes every cached block, also the last: if the prompt ends with it, there is no token left to compute."""
from drills.classics.longest_cached_prefix import solution

FAILS = {"test_one_token_is_left_to_compute": r"yours are the blocks \[1\], right are \[\]", "test_any_cache": "one token is left"}


def longest_cached_prefix(block_hashes, cached, num_tokens, block_size):
    return solution.longest_cached_prefix(block_hashes, cached, num_tokens + 1, block_size)


def num_cached_tokens(block_hashes, cached, num_tokens, block_size):
    return min(num_tokens - 1, block_size * len(longest_cached_prefix(block_hashes, cached, num_tokens, block_size)))
