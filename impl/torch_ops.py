"""What a decoder computes besides products of matrices, and the draw of a token, by torch: for the CPU, and to measure kernels by.

`triton_ops.py` has the same names, for a GPU; `ops.py` chooses.
"""
import torch
from torch.nn import functional

from impl.attention import AttentionBatch as Batch, paged_attention, write_kv
from impl.layers import RMSNorm
from impl.sampler import Sampler

__all__ = ["Batch", "Sampler", "add_rms_norm", "linear", "look_up", "norm_rotate_write", "paged_attention", "rms_norm", "rotary_table", "silu_and_mul"]


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x` [rows, inputs] times `weight` [outputs, inputs], transposed."""
    return functional.linear(x, weight)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """`x` [..., size] over its root mean square, times `weight`."""
    wide = x.float()
    scale = (wide * wide).mean(-1, keepdim=True).add_(eps).rsqrt_()
    return (wide * scale).to(x.dtype) * weight


def add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The norm of the sum, and the sum."""
    residual = residual + x
    return rms_norm(residual, weight, eps), residual


def silu_and_mul(x: torch.Tensor) -> torch.Tensor:
    """`x` [rows, 2n], gates first, to [rows, n]."""
    gate, up = x.chunk(2, dim=-1)
    return functional.silu(gate) * up


def rotary_table(cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """[2, max_position, head_dim], as `rotate` wants it, of [max_position, head_dim / 2] each."""
    return torch.stack((torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)))


def look_up(table: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The cosines and sines of `positions` [tokens]: [2, tokens, 1, head_dim]."""
    return table[:, positions].unsqueeze(2)


def norm_rotate_write(qkv: torch.Tensor, norm: RMSNorm | None, turn: torch.Tensor, cache: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The queries [tokens, heads, head_dim] of `qkv` [tokens, (heads + 2 KV heads) * head_dim]; keys and values go into the cache.

    `norm`: of each head of the queries and keys, [heads + KV heads, head_dim]. `turn`: from `look_up`.
    """
    num_kv_heads, head_dim = cache.shape[3:]
    turned, values = qkv.unflatten(-1, (-1, head_dim)).tensor_split([-num_kv_heads], dim=1)
    if norm is not None:
        turned = rms_norm(turned, norm.weight, norm.eps)
    queries, keys = rotate(turned, *turn).tensor_split([-num_kv_heads], dim=1)
    write_kv(cache, keys, values, batch.slot_mapping)
    return queries


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn `x` [tokens, heads, head_dim]: the halves (a, b) become (a cos - b sin, b cos + a sin). The table has the minus."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
