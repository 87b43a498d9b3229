"""Counts the null block as if it could hold tokens: the longest request is a block too long."""
from drills.classics.kv_cache_sizing.solution import Model, bytes_per_token, kv_heads_per_device, num_blocks  # noqa: F401

FAILS = {"test_the_longest_request": "1 blocks of 16, one of them the null block: 16, should be 0", "test_concurrency": "1, should be 0",
         "test_the_memory_needed_is_the_least": "bytes: "}


def longest_request(blocks, block_size):
    return blocks * block_size


def concurrency(blocks, block_size, num_tokens):
    return blocks // -(-num_tokens // block_size)


def memory_needed(model, tensor_parallel_size, block_size, num_tokens, num_requests):
    return num_requests * -(-num_tokens // block_size) * block_size * bytes_per_token(model, tensor_parallel_size)
