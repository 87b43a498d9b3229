"""KV cache sizing: your answer. The problem is in drills/classics/kv_cache_sizing/README.md."""
from dataclasses import dataclass

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "fp8": 1}


@dataclass(frozen=True)
class Model:
    """What a model's cache depends on. The heads are those of the whole model, before it is split over devices."""

    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_size: int
    dtype: str          # of the cache: float32, float16, bfloat16 or fp8


def kv_heads_per_device(model: Model, tensor_parallel_size: int) -> int:
    """How many key/value heads each device holds; at least one: if there are more devices than heads, heads are replicated.

    Raises `ValueError` if the attention heads cannot be split evenly, or the key/value heads neither split nor replicated evenly.
    """
    raise NotImplementedError("kv_cache_sizing: kv_heads_per_device is not written yet")


def bytes_per_token(model: Model, tensor_parallel_size: int) -> int:
    """What one token takes on each device: a key and a value, in each layer. Raises `ValueError` as above."""
    raise NotImplementedError("kv_cache_sizing: bytes_per_token is not written yet")


def num_blocks(model: Model, tensor_parallel_size: int, block_size: int, memory: int) -> int:
    """How many whole blocks of `block_size` tokens fit into `memory` bytes of each device, the null block included."""
    raise NotImplementedError("kv_cache_sizing: num_blocks is not written yet")


def longest_request(blocks: int, block_size: int) -> int:
    """The tokens of the longest request that a pool of `blocks` blocks can hold alone."""
    raise NotImplementedError("kv_cache_sizing: longest_request is not written yet")


def concurrency(blocks: int, block_size: int, num_tokens: int) -> int:
    """How many requests of `num_tokens` tokens, at least 1, the pool holds at the same time."""
    raise NotImplementedError("kv_cache_sizing: concurrency is not written yet")


def memory_needed(model: Model, tensor_parallel_size: int, block_size: int, num_tokens: int, num_requests: int) -> int:
    """The fewest bytes per device with which `num_requests` requests of `num_tokens` tokens fit at the same time."""
    raise NotImplementedError("kv_cache_sizing: memory_needed is not written yet")
