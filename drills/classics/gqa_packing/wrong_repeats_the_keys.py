"""Copies keys and values once per query head, so that it can pretend there are no groups: right, and all the saving is gone."""
from drills.classics.gqa_packing import solution
from drills.classics.gqa_packing.solution import pack, unpack

FAILS = {"test_keys_are_read_once_per_group": "numbers go into the matrix products"}


def attention(query, key, value, scale):
    group = query.shape[1] // key.shape[1]
    return solution.attention(query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), scale)
