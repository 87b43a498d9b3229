"""Also hashes the last block when it is not full yet: its hash is wrong as soon as the next token comes."""
from drills.data_structures.prefix_hash_chain.solution import hash_of

FAILS = {"test_these_very_bytes": "in blocks of 3 hash to", "test_any_prompt": "full blocks of", "test_growing_gives_the_same_as_all_at_once": "bit by bit"}


def extend_hash_chain(chain, token_ids, block_size, cache_salt):
    for start in range(len(chain) * block_size, len(token_ids), block_size):
        parent = chain[-1] if chain else hash_of("vllm-none-hash")
        extra_keys = (("cache_salt", cache_salt),) if start == 0 and cache_salt else None
        chain.append(hash_of((parent, tuple(token_ids[start:start + block_size]), extra_keys)))
