"""Packing for grouped-query attention: your answer. The problem is in drills/classics/gqa_packing/README.md."""
import torch


def pack(query: torch.Tensor, num_kv_heads: int) -> torch.Tensor:
    """[num_tokens, num_heads, head_size] to [num_kv_heads, num_tokens * group, head_size], where group = num_heads / num_kv_heads.

    Row r of KV head j is query head j * group + r % group of token r // group. Raises `ValueError` if the heads do not
    divide evenly.
    """
    raise NotImplementedError("gqa_packing: pack is not written yet")


def unpack(packed: torch.Tensor, num_heads: int) -> torch.Tensor:
    """The way back: [num_tokens, num_heads, head_size]."""
    raise NotImplementedError("gqa_packing: unpack is not written yet")


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Causal attention of the last tokens of a sequence: float32 [num_tokens, num_heads, head_size].

    query [num_tokens, num_heads, head_size]; key and value [num_keys, num_kv_heads, head_size]. The queries are those of
    the last num_tokens of the num_keys tokens; each sees the keys up to its own.
    """
    raise NotImplementedError("gqa_packing: attention is not written yet")
