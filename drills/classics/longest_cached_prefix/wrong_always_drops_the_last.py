"""Drops the last block whenever all full blocks are cached, also if tokens behind it are left to compute."""
from drills.classics.longest_cached_prefix import solution

FAILS = {"test_a_prefix_is_cached": r"yours are the blocks \[\], right are \[1\]",
         "test_nothing_is_dropped_without_need": "one token behind the last full block",
         "test_any_cache": "yours are"}


def longest_cached_prefix(block_hashes, cached, num_tokens, block_size):
    return solution.longest_cached_prefix(block_hashes[:-1], cached, num_tokens, block_size)


def num_cached_tokens(block_hashes, cached, num_tokens, block_size):
    return block_size * len(longest_cached_prefix(block_hashes, cached, num_tokens, block_size))
