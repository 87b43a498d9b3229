"""How much of the KV cache fits into a memory: integers only, and each rounded in the direction that is safe."""
from dataclasses import dataclass

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "fp8": 1}


@dataclass(frozen=True)
class Model:  # given
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
    if model.num_attention_heads % tensor_parallel_size:
        raise ValueError(f"{model.num_attention_heads} attention heads cannot be split over {tensor_parallel_size} devices")
    if model.num_kv_heads % tensor_parallel_size and tensor_parallel_size % model.num_kv_heads:
        raise ValueError(f"{model.num_kv_heads} key/value heads can be neither split over {tensor_parallel_size} devices nor replicated evenly")
    return max(1, model.num_kv_heads // tensor_parallel_size)


def bytes_per_token(model: Model, tensor_parallel_size: int) -> int:
    """What one token takes on each device: a key and a value, in each layer. Raises `ValueError` as above."""
    return 2 * model.num_layers * kv_heads_per_device(model, tensor_parallel_size) * model.head_size * BYTES[model.dtype]


def num_blocks(model: Model, tensor_parallel_size: int, block_size: int, memory: int) -> int:
    """How many whole blocks of `block_size` tokens fit into `memory` bytes of each device, the null block included."""
    return memory // (block_size * bytes_per_token(model, tensor_parallel_size))


def longest_request(blocks: int, block_size: int) -> int:
    """The tokens of the longest request that a pool of `blocks` blocks can hold alone."""
    return _usable(blocks) * block_size


def concurrency(blocks: int, block_size: int, num_tokens: int) -> int:
    """How many requests of `num_tokens` tokens, at least 1, the pool holds at the same time."""
    return _usable(blocks) // -(-num_tokens // block_size)


def memory_needed(model: Model, tensor_parallel_size: int, block_size: int, num_tokens: int, num_requests: int) -> int:
    """The fewest bytes per device with which `num_requests` requests of `num_tokens` tokens fit at the same time."""
    blocks = 1 + num_requests * -(-num_tokens // block_size)
    return blocks * block_size * bytes_per_token(model, tensor_parallel_size)


def _usable(blocks: int) -> int:
    """All but the null block, which is never given out."""
    return max(0, blocks - 1)
