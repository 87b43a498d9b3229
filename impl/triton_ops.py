"""The names of `torch_ops.py` by the kernels of `kernels/`, for a GPU. Without one, Triton's interpreter runs them: slow, and right.

What comes in may be overwritten with what goes out.
"""
import functools
from dataclasses import dataclass

import numpy
import torch
from torch.nn import functional

from impl.attention import places
from impl.layers import RMSNorm
from impl.triton_sampler import Sampler
from impl.upload import ALIGNED, upload
from kernels import rms_norm as norms
from kernels.decode_attention import Plan, decode_attention, make_plan
from kernels.gemv import gemv
from kernels.prefill_attention import prefill_attention
from kernels.qk_norm_rope_cache import qk_norm_rope_cache
from kernels.rms_norm import rms_norm
from kernels.silu_and_mul import silu_and_mul

__all__ = ["Batch", "Sampler", "add_rms_norm", "linear", "look_up", "norm_rotate_write", "paged_attention", "rms_norm", "rotary_table", "silu_and_mul"]


@dataclass(slots=True)
class Batch:
    """Where the tokens of one step belong; all on the device but `query_start`. See `attention.py::AttentionBatch`.

    The requests with one new token each come first: they decode, and the others prefill.
    """

    query_start: list[int]          # requests + 1
    num_decodes: int
    positions: torch.Tensor         # int64 [tokens]
    slot_mapping: torch.Tensor      # int64 [tokens]
    decode_lens: torch.Tensor       # int32 [decodes]: tokens per request, computed and in this step
    decode_tables: torch.Tensor     # int32 [decodes, blocks]
    prefill_lens: torch.Tensor      # the same of the other requests
    prefill_tables: torch.Tensor
    prefill_start: torch.Tensor     # int32 [prefills + 1]: where their tokens begin
    plan: Plan | None = None        # how the decodes are shared out; the first layer makes it

    @classmethod
    def at(cls, num_new: numpy.ndarray, num_computed: numpy.ndarray, block_tables: numpy.ndarray, block_size: int,
           device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> "Batch":
        """As `AttentionBatch.at`."""
        query_start, positions, slots = places(num_new, num_computed, block_tables, block_size)
        num_decodes = int((num_new == 1).cumprod().sum())
        seq_lens = (num_computed + num_new).astype(numpy.int32)
        tables = numpy.pad(block_tables, ((0, 0), (0, -block_tables.shape[1] % ALIGNED))).astype(numpy.int32)
        prefill_start = query_start[num_decodes:].astype(numpy.int32)
        return cls(query_start.tolist(), num_decodes, *upload([
            positions, slots, seq_lens[:num_decodes], tables[:num_decodes], seq_lens[num_decodes:], tables[num_decodes:], prefill_start], device))


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x` [rows, inputs] times `weight` [outputs, inputs], transposed. cuBLAS has kernels for many rows, not for one of small numbers."""
    return gemv(x, weight) if len(x) == 1 and x.element_size() == 2 else functional.linear(x, weight)


def add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The norm of the sum, and the sum."""
    norms.add_rms_norm(x, residual, weight, eps)
    return x, residual


def rotary_table(cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """[max_position, head_dim]."""
    return torch.cat((cos, sin), dim=-1)


def look_up(table: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The whole table: the kernel looks up for itself."""
    return table


def norm_rotate_write(qkv: torch.Tensor, norm: RMSNorm | None, turn: torch.Tensor, cache: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The queries [tokens, heads, head_dim] of `qkv` [tokens, (heads + 2 KV heads) * head_dim]; keys and values go into the cache."""
    num_kv_heads, head_dim = cache.shape[3:]
    num_heads = qkv.shape[-1] // head_dim - 2 * num_kv_heads
    # The norm has a row of weights for each head; all heads of the queries have the same, and so have all of the keys.
    q_weight, k_weight, eps = (norm.weight[0], norm.weight[num_heads], norm.eps) if norm is not None else (None, None, 0.0)
    return qk_norm_rope_cache(qkv, q_weight, k_weight, eps, batch.positions, turn, *cache.unbind(2), batch.slot_mapping, num_heads, num_kv_heads,
                              *scales(cache))


def paged_attention(queries: torch.Tensor, cache: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Causal attention of each token to its own request's tokens up to itself: [tokens, heads, head_dim], as `queries` are."""
    out, decodes, (keys, values) = torch.empty_like(queries), batch.num_decodes, cache.unbind(2)
    if decodes:
        batch.plan = batch.plan or make_plan(batch.decode_lens, keys.shape[2])
        decode_attention(queries[:decodes], keys, values, batch.decode_tables, batch.decode_lens, batch.plan, None, *scales(cache),
                         out=out[:decodes])
    if len(batch.prefill_lens):     # behind the decodes, whose padding leaves zeros in its rows
        prefill_attention(queries, keys, values, batch.prefill_tables, batch.prefill_lens, batch.prefill_start, None, *scales(cache), out=out)
    return out


def scales(cache: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """By what keys and values are divided to fit an 8-bit cache: 1, as in vLLM where the checkpoint says nothing. Other caches have none."""
    return (one(cache.device), one(cache.device)) if cache.dtype == torch.float8_e4m3fn else (None, None)


@functools.cache
def one(device: torch.device) -> torch.Tensor:
    return torch.ones(1, device=device)
