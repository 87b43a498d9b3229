"""Splits and merges, but per request: right, and the prefix is read as often as there are requests."""
import torch

from drills.classics.cascade_attention.solution import KVCache, _attention, _merged, num_common_blocks

FAILS = {"test_the_prefix_is_read_once": "are enough", "test_the_prefix_is_multiplied_once": "belong into one product"}


def cascade_attention(query, cache, block_tables, seq_lens, scale):
    common = num_common_blocks(block_tables, seq_lens, cache.block_size)
    out = torch.empty_like(query)
    for i, (table, seq_len) in enumerate(zip(block_tables, seq_lens)):
        rest = seq_len - common * cache.block_size
        key, value = cache.read(table[common:-(-seq_len // cache.block_size)])
        out[i:i + 1] = _merged(*_attention(query[i:i + 1], *cache.read(table[:common]), scale),
                               *_attention(query[i:i + 1], key[:rest], value[:rest], scale))
    return out
