"""Divides tokens by tokens: but two requests cannot share the rest of a block."""
from drills.classics.kv_cache_sizing.solution import Model, bytes_per_token, kv_heads_per_device, longest_request, num_blocks  # noqa: F401

FAILS = {"test_concurrency": r"requests of 1 tokens in 2 blocks of 16, one of them the null block: 16, should be 1",
         "test_the_memory_needed_is_the_least": "that memory_needed says|one byte less|bytes: "}


def concurrency(blocks, block_size, num_tokens):
    return longest_request(blocks, block_size) // num_tokens


def memory_needed(model, tensor_parallel_size, block_size, num_tokens, num_requests):
    return (block_size + num_requests * num_tokens) * bytes_per_token(model, tensor_parallel_size)
