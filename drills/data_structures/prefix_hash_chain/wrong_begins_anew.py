"""Computes the whole chain anew at each call: right, and quadratic over the life of a request."""
from drills.data_structures.prefix_hash_chain import solution

FAILS = {"test_no_block_is_hashed_twice": "hash only the blocks that the chain lacks"}


def extend_hash_chain(chain, token_ids, block_size, cache_salt):
    whole = []
    solution.extend_hash_chain(whole, token_ids, block_size, cache_salt)
    chain[:] = whole
