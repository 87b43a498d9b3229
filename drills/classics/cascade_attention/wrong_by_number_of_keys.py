"""Weights the two parts by their numbers of keys, as if every key had the same score."""
import torch

from drills.classics.cascade_attention.solution import KVCache, _attention, num_common_blocks

FAILS = {"test_the_same_as_plain_attention": "numbers are wrong", "test_nothing_is_left": "numbers are wrong", "test_sharp_scores": "numbers are wrong",
         "test_a_sequence_that_ends_within_the_shared_blocks": "numbers are wrong"}


def cascade_attention(query, cache, block_tables, seq_lens, scale):
    common = num_common_blocks(block_tables, seq_lens, cache.block_size)
    shared, _ = _attention(query, *cache.read(block_tables[0][:common]), scale)
    out = torch.empty_like(query)
    for i, (table, seq_len) in enumerate(zip(block_tables, seq_lens)):
        rest = seq_len - common * cache.block_size
        key, value = cache.read(table[common:-(-seq_len // cache.block_size)])
        own, _ = _attention(query[i:i + 1], key[:rest], value[:rest], scale)
        out[i] = ((seq_len - rest) * shared[i] + rest * own[0]) / seq_len
    return out
