"""Prefix hash chain: your answer. The problem is in drills/data_structures/prefix_hash_chain/README.md."""
import hashlib
import pickle


def hash_of(value: object) -> bytes:
    """The 32 bytes of SHA-256 of the pickled value (the highest protocol)."""
    return hashlib.sha256(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)).digest()


def extend_hash_chain(chain: list[bytes], token_ids: list[int], block_size: int, cache_salt: str | None) -> None:
    """Append to `chain`, which has the hashes of the first blocks, those of the full blocks that it lacks."""
    raise NotImplementedError("prefix_hash_chain: extend_hash_chain is not written yet")
