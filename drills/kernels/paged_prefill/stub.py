"""Paged prefill: your answer. The problem is in drills/kernels/paged_prefill/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def paged_prefill_kernel(queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, out, scale, kv_heads, table_width,
                         GROUP: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """Causal attention of up to TILE new tokens of one request, for one query head."""


def paged_prefill(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor, seq_lens: torch.Tensor,
                  query_start_loc: torch.Tensor, max_query_len: int) -> torch.Tensor:
    """Causal attention of the new tokens of several requests, with scale 1 / sqrt(D): like `queries`.

    `queries`: [tokens, heads, D], float32 or float16: rows `query_start_loc[i]` up to, not including, `query_start_loc[i + 1]`
    are the new tokens of request i, the last ones of its `seq_lens[i]`; there may be none. Their keys and values are in the cache already.
    `query_start_loc`: int32 [requests + 1], from 0 to tokens; `max_query_len`: the most new tokens that a request has.
    `key_cache`, `value_cache`: [blocks, block_size, KV heads, D]; query head h reads KV head h // (heads / KV heads).
    `block_tables`: int32 [requests, most blocks]; `seq_lens`: int32 [requests]. All contiguous; D up to 128.
    """
    raise NotImplementedError("paged_prefill: paged_prefill is not written yet")
