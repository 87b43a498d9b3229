"""Counts the attention heads: with grouped-query attention, the cache has only the key/value heads, which are fewer."""
from drills.classics.kv_cache_sizing import solution
from drills.classics.kv_cache_sizing.solution import BYTES, Model, concurrency, longest_request  # noqa: F401

FAILS = {"test_bytes_per_token": "524,288, should be 131,072", "test_split_over_devices": "heads per device: 64, should be 8",
         "test_more_devices_than_heads": "heads per device: 4, should be 1", "test_blocks_that_fit": "should be",
         "test_the_memory_needed_is_the_least": "bytes: "}


def kv_heads_per_device(model, tensor_parallel_size):
    solution.kv_heads_per_device(model, tensor_parallel_size)
    return model.num_attention_heads // tensor_parallel_size


def bytes_per_token(model, tensor_parallel_size):
    return 2 * model.num_layers * kv_heads_per_device(model, tensor_parallel_size) * model.head_size * BYTES[model.dtype]


def num_blocks(model, tensor_parallel_size, block_size, memory):
    return memory // (block_size * bytes_per_token(model, tensor_parallel_size))


def memory_needed(model, tensor_parallel_size, block_size, num_tokens, num_requests):
    return (1 + num_requests * -(-num_tokens // block_size)) * block_size * bytes_per_token(model, tensor_parallel_size)
