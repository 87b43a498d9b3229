"""From the beginning, block by block, until one is missing or only the last token would be left."""
from collections.abc import Mapping, Sequence


def longest_cached_prefix(block_hashes: Sequence[bytes], cached: Mapping[bytes, int], num_tokens: int, block_size: int) -> list[int]:
    """The blocks, in order, that a request of `num_tokens` tokens, at least 1, need not compute.

    block_hashes: one for each of its full blocks. cached: the blocks that are in the cache, by hash.
    """
    most = (num_tokens - 1) // block_size       # the last token has to be computed, whatever is cached
    blocks = []
    for index in range(min(most, len(block_hashes))):
        block = cached.get(block_hashes[index])
        if block is None:
            break
        blocks.append(block)
    return blocks


def num_cached_tokens(block_hashes: Sequence[bytes], cached: Mapping[bytes, int], num_tokens: int, block_size: int) -> int:
    """How many tokens those blocks hold: where the request begins to compute."""
    return block_size * len(longest_cached_prefix(block_hashes, cached, num_tokens, block_size))
