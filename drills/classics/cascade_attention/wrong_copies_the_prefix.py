"""Reads the prefix once and puts it in front of the keys of each request: the cache is spared, the copies are read instead."""
import torch

from drills.classics.cascade_attention.solution import KVCache, _attention, num_common_blocks

FAILS = {"test_the_prefix_is_multiplied_once": "belong into one product"}


def cascade_attention(query, cache, block_tables, seq_lens, scale):
    common = num_common_blocks(block_tables, seq_lens, cache.block_size)
    shared = cache.read(block_tables[0][:common])
    out = torch.empty_like(query)
    for i, (table, seq_len) in enumerate(zip(block_tables, seq_lens)):
        own = cache.read(table[common:-(-seq_len // cache.block_size)])
        key, value = (torch.cat(parts)[:seq_len] for parts in zip(shared, own))
        out[i] = _attention(query[i:i + 1], key, value, scale)[0][0]
    return out
