"""Paged attention in torch: keys and values live in blocks, found through block tables.

`write_kv` and `paged_attention` are the two calls, and everything they need is in
`AttentionBatch`. The same by kernels is in `triton_ops.py`.
"""
from dataclasses import dataclass

import numpy
import torch
from torch.nn import functional

TOGETHER = 16   # requests in a group: what is read for them should stay in a processor's cache until it is used


@dataclass(slots=True)
class AttentionBatch:
    """Where the tokens of one step belong. Mirrors `v1/attention/backend.py::CommonAttentionMetadata`.

    The tokens of all requests lie one after the other; request i has the rows
    `query_start[i]` to `query_start[i + 1]`, and they are the last of its `seq_lens[i]`
    tokens.
    """

    query_start: list[int]          # requests + 1
    seq_lens: list[int]             # tokens per request, computed and in this step
    positions: torch.Tensor         # int64 [tokens]: of each token in its request
    slot_mapping: torch.Tensor      # int64 [tokens]: block id * block size + offset in the block
    groups: list["Group"]           # the same requests, neighbours with equally many new tokens together

    @classmethod
    def at(cls, num_new: numpy.ndarray, num_computed: numpy.ndarray, block_tables: numpy.ndarray, block_size: int,
           device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, sliding_window: int | None = None) -> "AttentionBatch":
        """`num_new` tokens [requests] after `num_computed` ones [requests], on the blocks of `block_tables` [requests, blocks].

        `dtype`: of the queries. `sliding_window`: tokens that a token sees, itself included; None: all up to itself. Fastest if requests with equally many tokens, new and computed, are neighbours.

        Once a step and in numpy, which is quicker than torch with small things; the layers share what comes out.
        """
        query_start, positions, slots = places(num_new, num_computed, block_tables, block_size)
        groups = []
        for alike in numpy.split(numpy.arange(len(num_new)), numpy.diff(num_new).nonzero()[0] + 1):
            for some in numpy.array_split(alike, -(-len(alike) // TOGETHER)):
                rows = slice(query_start[some[0]], query_start[some[-1] + 1])
                groups.append(Group.of(rows, int(num_new[some[0]]), (num_computed + num_new)[some], block_tables[some], block_size, device, dtype,
                                       sliding_window))
        return cls(query_start.tolist(), (num_computed + num_new).tolist(), torch.from_numpy(positions).to(device),
                   torch.from_numpy(slots).to(device), groups)


def places(num_new: numpy.ndarray, num_computed: numpy.ndarray, block_tables: numpy.ndarray,
           block_size: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Where each request's tokens begin [requests + 1]; each token's position in its request, and its slot [tokens]: int64."""
    query_start = numpy.concatenate(([0], num_new.cumsum()))
    request = numpy.repeat(numpy.arange(len(num_new)), num_new)     # of each token
    positions = numpy.arange(len(request)) - (query_start[:-1] - num_computed)[request]
    slots = block_tables[request, positions // block_size] * block_size + positions % block_size
    return query_start, positions, slots


@dataclass(slots=True)
class Group:
    """Requests with equally many new tokens, attended to in one call: first of all, those that decode."""

    rows: slice                     # which of the step's tokens
    size: int                       # new tokens per request
    slots: torch.Tensor             # int64 [requests * longest]: where the keys and values are
    is_causal: bool                 # nothing was computed before, so that the mask is a triangle
    mask: torch.Tensor | None       # [requests, 1, size, longest]: 0 for what is seen, else -inf; None: everything is, or the triangle
    read: torch.Tensor | None = None    # memory for what is read; the next layer uses it again

    @classmethod
    def of(cls, rows: slice, size: int, seq_lens: numpy.ndarray, block_tables: numpy.ndarray, block_size: int,
           device: torch.device | str, dtype: torch.dtype, sliding_window: int | None = None) -> "Group":
        tokens = numpy.arange(seq_lens.max())
        slots = block_tables[:, tokens // block_size] * block_size + tokens % block_size
        # Beyond its end a request reads its own first token: a mask turns any number into nothing, except for NaN.
        slots = numpy.where(tokens < seq_lens[:, None], slots, slots[:, :1])
        # Row i of the new ones is token seq_len - size + i: it sees all up to itself.
        last_seen = seq_lens[:, None, None, None] - size + numpy.arange(size)[:, None]
        seen = tokens <= last_seen
        if sliding_window:      # what it does not see may have been freed: whatever is read there counts for nothing
            seen &= tokens > last_seen - sliding_window
        is_causal = len(tokens) == size <= (sliding_window or size)
        mask = None if is_causal or seen.all() else torch.from_numpy(numpy.where(seen, numpy.float32(0), numpy.float32(-numpy.inf))).to(device, dtype)
        return cls(rows, size, torch.from_numpy(slots.ravel()).to(device), is_causal, mask)


def write_kv(cache: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, slot_mapping: torch.Tensor) -> None:
    """Put each token's key and value into its slot.

    `cache`: [blocks, block size, 2, KV heads, head_dim], the 2 being key and value; `keys`, `values`: [tokens, KV heads, head_dim].
    """
    cache.flatten(0, 1).index_copy_(0, slot_mapping, torch.stack((keys, values), dim=1))


def paged_attention(queries: torch.Tensor, cache: torch.Tensor, batch: AttentionBatch) -> torch.Tensor:
    """Causal attention of each token to its own request's tokens up to itself.

    `queries`: [tokens, heads, head_dim], and so is the result. Query head h reads KV
    head h // (heads / KV heads).
    """
    return torch.cat([_attend(queries[group.rows], cache, group) for group in batch.groups])


def _attend(queries: torch.Tensor, cache: torch.Tensor, group: Group) -> torch.Tensor:
    """`paged_attention` of the tokens of one group."""
    num_heads, num_kv_heads, head_dim = queries.shape[1], *cache.shape[3:]
    num_requests = queries.shape[0] // group.size
    group.read = torch.index_select(cache.view(-1, 2 * num_kv_heads * head_dim), 0, group.slots, out=group.read)
    queries = queries.view(num_requests, group.size, num_heads, head_dim).transpose(1, 2)
    keys, values = group.read.view(num_requests, -1, 2, num_kv_heads, head_dim).permute(2, 0, 3, 1, 4)
    if group.size == 1:     # the heads that read the same KV head are then like many queries: one product for all of them
        queries = queries.reshape(num_requests, num_kv_heads, -1, head_dim)
    seen = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=group.mask, is_causal=group.is_causal and group.size > 1,
                                                   enable_gqa=group.size > 1)
    return seen.reshape(num_requests, num_heads, group.size, head_dim).transpose(1, 2).flatten(0, 1)
