"""The hash chain: what a full block holds, and all that came before it.

A key or value depends on every earlier token, so two blocks are interchangeable
only if their whole prefixes are equal. Hashing (parent's hash, own tokens) says
exactly that, at the cost of one block. Mirrors
`v1/core/kv_cache_utils.py::hash_block_tokens` and `utils/hashing.py::sha256`.
"""
import hashlib
import pickle


def sha256(value: object) -> bytes:
    """32 bytes; the default of vLLM's `prefix_caching_hash_algo`."""
    return hashlib.sha256(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)).digest()


ROOT_HASH = sha256("vllm-none-hash")  # the parent of every first block


def extend_hash_chain(chain: list[bytes], token_ids: list[int], block_size: int, cache_salt: str | None) -> None:
    """Append to `chain` the hash of each full block of `token_ids` it lacks.

    The salt goes into the first block alone: the chain carries it to the rest.
    """
    for start in range(len(chain) * block_size, len(token_ids) - block_size + 1, block_size):
        parent = chain[-1] if chain else ROOT_HASH
        salt = (("cache_salt", cache_salt),) if cache_salt and start == 0 else None
        chain.append(sha256((parent, tuple(token_ids[start:start + block_size]), salt)))
