"""The arithmetic of vLLM's memory: what a model, its cache and its longest step take, told before anything runs. All in bytes.

The model is a Qwen3 in a 2-byte type, unquantised, on one device. Mirrors `v1/worker/gpu_worker.py::Worker.determine_available_memory`,
`v1/worker/utils.py::request_memory` and `v1/core/kv_cache_utils.py::get_kv_cache_configs`.
"""
import math
from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Shape:
    """A Qwen3, as its config.json tells it; the one given here is Qwen3-0.6B's."""

    num_hidden_layers: int = 28
    hidden_size: int = 1024
    num_attention_heads: int = 16
    num_key_value_heads: int = 8
    head_dim: int = 128
    intermediate_size: int = 3072
    vocab_size: int = 151_936
    max_position_embeddings: int = 40_960
    item: int = 2       # bytes of a weight, an activation, a key or a value

    @property
    def qkv(self) -> int:
        """Width of what the fused projection gives: queries, keys and values of all heads."""
        return (self.num_attention_heads + 2 * self.num_key_value_heads) * self.head_dim

    @property
    def heads(self) -> int:
        return self.num_attention_heads * self.head_dim

    def config(self) -> dict:
        """The config.json of a model whose weights nobody has: vLLM makes them up with `load_format="dummy"`."""
        told = {name: value for name, value in vars(self).items() if name != "item"}
        return told | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16", "hidden_act": "silu",
                       "rms_norm_eps": 1e-6, "rope_theta": 1_000_000, "attention_bias": False, "tie_word_embeddings": True,
                       "bos_token_id": 0, "eos_token_id": 1}


def weights(shape: Shape) -> int:
    """The tied embedding, and in each layer the projections and the norms; the table of rotary positions stands beside them."""
    attention = shape.hidden_size * (shape.qkv + shape.heads) + 2 * shape.head_dim
    mlp = 3 * shape.hidden_size * shape.intermediate_size
    layers = shape.num_hidden_layers * (attention + mlp + 2 * shape.hidden_size)
    rotary = shape.max_position_embeddings * shape.head_dim
    return (shape.vocab_size * shape.hidden_size + layers + shape.hidden_size + rotary) * shape.item


def block(shape: Shape, block_size: int) -> int:
    """A block of the cache: keys and values of `block_size` tokens in all layers."""
    return 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * shape.item * block_size


def one_sequence(shape: Shape, block_size: int, max_model_len: int) -> int:
    """What the cache must have for one sequence of the greatest length, beside the null block."""
    return -(-max_model_len // block_size) * block(shape, block_size)


def longest_sequence(shape: Shape, block_size: int, cache: int) -> int:
    """Tokens of the longest sequence that a cache of so many bytes has room for: `estimate_max_model_len`, without its search."""
    return (cache // block(shape, block_size) - 1) * block_size


def activation_peak(shape: Shape, num_tokens: int) -> int:
    """The most that activations take at once in a step of so many tokens, run eagerly; nothing of it is kept.

    In the attention: the residual, the normed input, queries with keys and values, queries and keys once more (each norm makes
    a new tensor), what attention gives and its projection. In the MLP: the residual, its input, the layer's input, which the
    caller's frame still names, gate and up, their product, and its projection. The larger of the two counts.
    """
    attention = 3 * shape.hidden_size + 2 * shape.qkv - shape.num_key_value_heads * shape.head_dim + shape.heads
    mlp = 4 * shape.hidden_size + 3 * shape.intermediate_size
    return num_tokens * max(attention, mlp) * shape.item


def requested(total: int, utilization: float) -> int:
    """What one vLLM may take of a device: its share of the whole, not of what is free."""
    return math.ceil(total * utilization)


def for_the_cache(total: int, utilization: float, taken: int, peak: int, graphs: int = 0) -> int:
    """What remains for the cache: of the share, after what is held (weights, libraries), what a step needs at its peak, and the graphs."""
    return requested(total, utilization) - taken - peak - graphs
