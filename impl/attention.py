"""Paged attention: keys and values live in blocks, found through block tables.

This is the seam where kernels go: `write_kv` and `paged_attention` are the two calls
a model makes, and everything they need is in `AttentionBatch`.
"""
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(slots=True)
class AttentionBatch:
    """Where the tokens of one step belong. Mirrors `v1/attention/backend.py::CommonAttentionMetadata`.

    The tokens of all requests lie one after the other; request i has the rows
    `query_start[i]` to `query_start[i + 1]`, and they are the last of its `seq_lens[i]`
    tokens.
    """

    query_start: list[int]          # requests + 1
    seq_lens: list[int]             # tokens per request, computed and in this step
    block_tables: list[torch.Tensor]    # int64 [blocks] per request
    slot_mapping: torch.Tensor      # int64 [tokens]: block id * block size + offset in the block


def write_kv(cache: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, slot_mapping: torch.Tensor) -> None:
    """Put each token's key and value into its slot.

    `cache`: [2, blocks, block size, KV heads, head_dim]; `keys`, `values`: [tokens, KV heads, head_dim].
    """
    flat = cache.flatten(1, 2)
    flat[0, slot_mapping] = keys
    flat[1, slot_mapping] = values


def paged_attention(queries: torch.Tensor, cache: torch.Tensor, batch: AttentionBatch) -> torch.Tensor:
    """Causal attention of each token to its own request's tokens up to itself.

    `queries`: [tokens, heads, head_dim], and so is the result. Query head h reads KV
    head h // (heads / KV heads).
    """
    result = torch.empty_like(queries)
    group = queries.shape[1] // cache.shape[3]
    for index, (seq_len, table) in enumerate(zip(batch.seq_lens, batch.block_tables)):
        rows = slice(batch.query_start[index], batch.query_start[index + 1])
        keys, values = (half[table].flatten(0, 1)[:seq_len].transpose(0, 1).repeat_interleave(group, dim=0) for half in cache)
        num_new = rows.stop - rows.start
        # Row i of the new ones is token seq_len - num_new + i: it sees all up to itself.
        mask = torch.ones(num_new, seq_len, dtype=torch.bool, device=queries.device).tril(seq_len - num_new)
        seen = functional.scaled_dot_product_attention(queries[rows].transpose(0, 1), keys, values, attn_mask=mask)
        result[rows] = seen.transpose(0, 1)
    return result
