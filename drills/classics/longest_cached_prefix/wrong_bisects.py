"""Looks for the end by bisection, as if a cached block had all its predecessors in the cache: an eviction makes holes."""

FAILS = {"test_a_hole_ends_it": "the first missing block ends the prefix", "test_any_cache": "without holes",
         "test_lookups_end_with_the_first_miss": "lookups in the cache for a prefix of 0 blocks"}


def longest_cached_prefix(block_hashes, cached, num_tokens, block_size):
    low, high = 0, (num_tokens - 1) // block_size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if block_hashes[middle - 1] in cached else (low, middle - 1)
    return [cached.get(block_hash) for block_hash in block_hashes[:low]]


def num_cached_tokens(block_hashes, cached, num_tokens, block_size):
    return block_size * len(longest_cached_prefix(block_hashes, cached, num_tokens, block_size))
