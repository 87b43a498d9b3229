"""Hashes a block's own tokens alone: equal blocks after different beginnings are taken for the same."""
from drills.data_structures.prefix_hash_chain.solution import hash_of

FAILS = {"test_these_very_bytes": "in blocks of 3 hash to", "test_any_prompt": "right ", "test_growing_gives_the_same_as_all_at_once": "bit by bit",
         "test_equal_tokens_after_another_beginning": "follow different tokens", "test_a_salt_separates_whole_chains": "tenants share a cache"}


def extend_hash_chain(chain, token_ids, block_size, cache_salt):
    for block in range(len(chain), len(token_ids) // block_size):
        extra_keys = (("cache_salt", cache_salt),) if block == 0 and cache_salt else None
        chain.append(hash_of((hash_of("vllm-none-hash"), tuple(token_ids[block * block_size:(block + 1) * block_size]), extra_keys)))
