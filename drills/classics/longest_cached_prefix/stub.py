"""Longest cached prefix: your answer. The problem is in drills/classics/longest_cached_prefix/README.md."""
from collections.abc import Mapping, Sequence


def longest_cached_prefix(block_hashes: Sequence[bytes], cached: Mapping[bytes, int], num_tokens: int, block_size: int) -> list[int]:
    """The blocks, in order, that a request of `num_tokens` tokens, at least 1, need not compute.

    block_hashes: one for each of its full blocks. cached: the blocks that are in the cache, by hash.
    """
    raise NotImplementedError("longest_cached_prefix: longest_cached_prefix is not written yet")


def num_cached_tokens(block_hashes: Sequence[bytes], cached: Mapping[bytes, int], num_tokens: int, block_size: int) -> int:
    """How many tokens those blocks hold: where the request begins to compute."""
    raise NotImplementedError("longest_cached_prefix: num_cached_tokens is not written yet")
