"""Each full block's hash contains the one before it, and so everything that came before."""
import hashlib
import pickle


def hash_of(value: object) -> bytes:  # given
    """The 32 bytes of SHA-256 of the pickled value (the highest protocol)."""
    return hashlib.sha256(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)).digest()


def extend_hash_chain(chain: list[bytes], token_ids: list[int], block_size: int, cache_salt: str | None) -> None:
    """Append to `chain`, which has the hashes of the first blocks, those of the full blocks that it lacks."""
    parent = chain[-1] if chain else hash_of("vllm-none-hash")
    for block in range(len(chain), len(token_ids) // block_size):
        tokens = tuple(token_ids[block * block_size:(block + 1) * block_size])
        extra_keys = (("cache_salt", cache_salt),) if block == 0 and cache_salt else None
        parent = hash_of((parent, tokens, extra_keys))
        chain.append(parent)
