"""Only changes the shape: the numbers are as many, and with more than one token the heads get mixed up."""
from drills.classics.gqa_packing import solution

FAILS = {"test_which_row_is_whose": "got head", "test_the_same_as_head_by_head": "numbers are wrong",
         "test_every_query_sees_its_own_past_only": "numbers are wrong"}


def pack(query, num_kv_heads):
    if query.shape[1] % num_kv_heads:
        raise ValueError
    return query.reshape(num_kv_heads, query.numel() // num_kv_heads // query.shape[2], query.shape[2])


def unpack(packed, num_heads):
    return packed.reshape(packed.numel() // num_heads // packed.shape[2], num_heads, packed.shape[2])


def attention(query, key, value, scale):
    num_heads, num_kv_heads = query.shape[1], key.shape[1]
    mixed = solution.unpack(pack(query, num_kv_heads), num_heads)
    return unpack(solution.pack(solution.attention(mixed, key, value, scale), num_kv_heads), num_heads)
