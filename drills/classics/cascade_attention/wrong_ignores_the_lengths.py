"""Looks at the block tables only: a block that one of the requests has not filled counts as shared."""
from drills.classics.cascade_attention import solution
from drills.classics.cascade_attention.solution import KVCache

FAILS = {"test_how_many_are_common": r"got 3, expected 2", "test_a_sequence_that_ends_within_the_shared_blocks": "must see 6 keys",
         "test_the_same_as_plain_attention": "numbers are wrong"}


def num_common_blocks(block_tables, seq_lens, block_size):
    common = 0
    while common < min(map(len, block_tables)) and len({table[common] for table in block_tables}) == 1:
        common += 1
    return common


def cascade_attention(query, cache, block_tables, seq_lens, scale):
    common = num_common_blocks(block_tables, seq_lens, cache.block_size)
    seen = [max(seq_len, common * cache.block_size) for seq_len in seq_lens]
    return solution.cascade_attention(query, cache, block_tables, seen, scale)
