"""Collects every cached block, also behind a missing one, whose keys and values would then lack."""

FAILS = {"test_a_hole_ends_it": "the first missing block ends the prefix", "test_any_cache": "without holes",
         "test_lookups_end_with_the_first_miss": "lookups in the cache"}


def longest_cached_prefix(block_hashes, cached, num_tokens, block_size):
    return [cached[block_hash] for block_hash in block_hashes[:(num_tokens - 1) // block_size] if block_hash in cached]


def num_cached_tokens(block_hashes, cached, num_tokens, block_size):
    return block_size * len(longest_cached_prefix(block_hashes, cached, num_tokens, block_size))
