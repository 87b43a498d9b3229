"""Takes the packed row for the token in the causal mask: later heads of a group see the future."""
import torch

from drills.classics.gqa_packing.solution import pack, unpack

FAILS = {"test_the_same_as_head_by_head": "numbers are wrong", "test_every_query_sees_its_own_past_only": "another last token"}


def attention(query, key, value, scale):
    num_keys, num_kv_heads, _ = key.shape
    scores = scale * pack(query, num_kv_heads) @ key.permute(1, 2, 0)
    position = num_keys - len(query) + torch.arange(scores.shape[1])
    scores.masked_fill_(torch.arange(num_keys) > position[:, None], float("-inf"))
    return unpack(scores.softmax(2) @ value.transpose(0, 1), query.shape[1])
