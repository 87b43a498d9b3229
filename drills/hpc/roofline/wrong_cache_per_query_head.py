"""Reads the cache once per query head: query heads of one group share their keys and values."""
from drills.hpc.roofline import solution
from drills.hpc.roofline.solution import *  # noqa: F403

FAILS = {"test_decode_attention": "8 numbers in the cache are 192 bytes", "test_prefill_attention": "pairs in all; with"}


def prefill_attention_work(computed, new, query_heads, kv_heads, head_size, element_bytes):
    return solution.prefill_attention_work(computed, new, query_heads, query_heads, head_size, element_bytes)


def decode_attention_work(lengths, query_heads, kv_heads, head_size, element_bytes):
    return solution.decode_attention_work(lengths, query_heads, query_heads, head_size, element_bytes)
