"""Puts the salt into the first block that a call hashes, rather than into the first block of the chain."""
from drills.data_structures.prefix_hash_chain.solution import hash_of

FAILS = {"test_growing_gives_the_same_as_all_at_once": "bit by bit"}


def extend_hash_chain(chain, token_ids, block_size, cache_salt):
    extra_keys = (("cache_salt", cache_salt),) if cache_salt else None
    parent = chain[-1] if chain else hash_of("vllm-none-hash")
    for block in range(len(chain), len(token_ids) // block_size):
        parent = hash_of((parent, tuple(token_ids[block * block_size:(block + 1) * block_size]), extra_keys))
        chain.append(parent)
        extra_keys = None
