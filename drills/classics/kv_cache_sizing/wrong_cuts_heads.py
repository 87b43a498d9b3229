"""Divides the bytes by the number of devices: a device cannot hold a fraction of a head."""
from drills.classics.kv_cache_sizing.solution import BYTES, Model, concurrency, kv_heads_per_device, longest_request  # noqa: F401

FAILS = {"test_more_devices_than_heads": "each holds it: 2,304, should be 18,432", "test_the_memory_needed_is_the_least": "bytes: "}


def bytes_per_token(model, tensor_parallel_size):
    return 2 * model.num_layers * model.num_kv_heads * model.head_size * BYTES[model.dtype] // tensor_parallel_size


def num_blocks(model, tensor_parallel_size, block_size, memory):
    return memory // (block_size * bytes_per_token(model, tensor_parallel_size))


def memory_needed(model, tensor_parallel_size, block_size, num_tokens, num_requests):
    return (1 + num_requests * -(-num_tokens // block_size)) * block_size * bytes_per_token(model, tensor_parallel_size)
