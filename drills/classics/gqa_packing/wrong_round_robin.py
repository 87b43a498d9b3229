"""Deals the query heads out to the KV heads like cards: head h goes to h % num_kv_heads."""
from drills.classics.gqa_packing import solution

FAILS = {"test_which_row_is_whose": r"row 1 of KV head 0 is head 1 of token 0, got head 2", "test_the_same_as_head_by_head": "4 heads over 2 KV heads",
         "test_every_query_sees_its_own_past_only": "numbers are wrong"}


def pack(query, num_kv_heads):
    order = [head for kv_head in range(num_kv_heads) for head in range(kv_head, query.shape[1], num_kv_heads)]
    return solution.pack(query[:, order], num_kv_heads)


def unpack(packed, num_heads):
    num_kv_heads = len(packed)
    order = [head for kv_head in range(num_kv_heads) for head in range(kv_head, num_heads, num_kv_heads)]
    out = solution.unpack(packed, num_heads)
    back = out.clone()
    back[:, order] = out
    return back


def attention(query, key, value, scale):
    num_heads, num_kv_heads = query.shape[1], key.shape[1]
    packed = solution.unpack(pack(query, num_kv_heads), num_heads)
    return unpack(solution.pack(solution.attention(packed, key, value, scale), num_kv_heads), num_heads)
