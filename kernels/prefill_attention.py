"""Paged prefill and mixed attention: requests with any number of new tokens, after any number of cached ones.

Arithmetic counts here: the tensor cores should never wait. So

- a program takes a tile of queries and walks over the keys and values from the first to its own, with an online
  softmax: neither scores nor weights ever leave the processor (FlashAttention);
- the query heads that read one KV head stand in one tile (GQA packing): a chunk of 32 tokens fills it as well as one
  of 128, and less of the last tiles is masked away;
- only the tiles at the end need the causal mask: the loop before runs without;
- late queries have most to do, and start first.

The tiles of the requests are counted from shapes alone: there may be one more per request than needed, which ends
at once. Mirrors `v1/attention/ops/triton_unified_attention.py::unified_attention`.
"""
import math

import torch
import triton
import triton.language as tl

from kernels.decode_attention import check, decode_attention_twin

# What a program takes: ROWS, queries times the heads that share a KV head; TILE, the keys it looks at in one go. By the bytes of a
# number: float32 has no tensor cores, and its products need more registers. FEW is for requests with next to no new tokens.
TILES = {2: {"ROWS": 256, "TILE": 64, "num_warps": 8, "num_stages": 5}, 4: {"ROWS": 32, "TILE": 16, "num_warps": 8, "num_stages": 2}}
FEW = {2: {"ROWS": 16, "TILE": 64, "num_warps": 4, "num_stages": 5}, 4: {"ROWS": 16, "TILE": 16, "num_warps": 8, "num_stages": 2}}


def prefill_attention_twin(queries, key_cache, value_cache, block_tables, seq_lens, query_start, scale=None, k_scale=None, v_scale=None) -> torch.Tensor:
    """`prefill_attention` as its definition says: each token attends as if it were the last of its request."""
    out = torch.zeros_like(queries)
    starts = query_start.tolist()
    for request, (start, stop) in enumerate(zip(starts, starts[1:])):
        lengths = seq_lens[request] - (stop - start) + 1 + torch.arange(stop - start, device=seq_lens.device, dtype=torch.int32)
        out[start:stop] = decode_attention_twin(queries[start:stop], key_cache, value_cache, block_tables[request].expand(stop - start, -1), lengths,
                                                scale, k_scale, v_scale)
    return out


def prefill_attention(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor, seq_lens: torch.Tensor,
                      query_start: torch.Tensor, scale: float | None = None, k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None,
                      out: torch.Tensor | None = None, *, tiles: dict[str, int] | None = None) -> torch.Tensor:
    """Causal attention of the new tokens of all requests, one request after the other: [tokens, heads, D], as `queries` are.

    `query_start`: int32 [requests + 1]; request i has the rows from its entry to the next one's, and they are the last of
    its `seq_lens[i]` tokens (int32), whose keys and values are all in the cache. Rows before the first entry and beyond the
    last are not theirs, and left as they are. `tiles`: others than `TILES`, to measure them. The rest as in `decode_attention`.
    """
    num_tokens, num_heads, head_dim = queries.shape
    num_kv_heads, num_requests = key_cache.shape[2], len(seq_lens)
    check(queries, key_cache, value_cache, block_tables, seq_lens, scale, k_scale, v_scale, out)
    if query_start.shape != (num_requests + 1,) or query_start.dtype != torch.int32 or query_start.stride(0) != 1:
        raise ValueError(f"query_start must be contiguous int32 [{num_requests + 1}], one more than there are requests, and is {query_start.dtype} {list(query_start.shape)}")
    out = torch.empty_like(queries, memory_format=torch.contiguous_format) if out is None else out
    if not num_tokens or not num_requests:
        return out
    group = num_heads // num_kv_heads
    few = num_tokens * group <= FEW[4]["ROWS"] * num_requests
    tiles = dict(tiles or (FEW if few else TILES)[queries.element_size()])
    tiles["ROWS"] = max(tiles["ROWS"], triton.next_power_of_2(group))
    tokens_per_tile = tiles["ROWS"] // group
    _attend[(num_tokens // tokens_per_tile + num_requests, num_kv_heads)](
        queries, key_cache, value_cache, block_tables, seq_lens, query_start, out, k_scale, v_scale,
        (head_dim ** -0.5 if scale is None else scale) * math.log2(math.e), *queries.stride()[:2], *key_cache.stride()[:3], *value_cache.stride()[:3],
        block_tables.stride(0), *out.stride()[:2], num_requests,
        GROUP=group, TOKENS=tokens_per_tile, D=head_dim, PADDED_D=max(16, triton.next_power_of_2(head_dim)), BLOCK_SIZE=key_cache.shape[1], **tiles)
    return out


@triton.jit
def _attend(queries, key_cache, value_cache, block_tables, seq_lens, query_start, out, k_scale, v_scale, scale,
            q_row, q_head, k_block, k_token, k_head, v_block, v_token, v_head, table_row, out_row, out_head, num_requests,
            GROUP: tl.constexpr, ROWS: tl.constexpr, TOKENS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr,
            BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """One tile of queries for one KV head."""
    tile, kv_head = tl.num_programs(0) - 1 - tl.program_id(0), tl.program_id(1)
    request = _owner(query_start, tile, num_requests, TOKENS)
    start, stop = tl.load(query_start + request), tl.load(query_start + request + 1)
    first = (tile - (start // TOKENS + request)) * TOKENS     # the tile's first query, among the request's new ones
    if (first < 0) | (first >= stop - start):
        return
    row, column = tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    query = first + row // GROUP
    is_query = (row < TOKENS * GROUP) & (query < stop - start)
    head = kv_head * GROUP + row % GROUP
    inside = is_query[:, None] & (column < D)[None, :]
    q = tl.load(queries + ((start + query).to(tl.int64) * q_row + head * q_head)[:, None] + column[None, :], mask=inside, other=0.0)
    position = tl.load(seq_lens + request) - (stop - start) + query
    key_cache += kv_head.to(tl.int64) * k_head
    value_cache += kv_head.to(tl.int64) * v_head
    block_tables += request.to(tl.int64) * table_row
    if k_scale is not None:
        scale *= tl.load(k_scale)

    before = tl.load(seq_lens + request) - (stop - start) + first + 1       # tokens that all queries of the tile see
    end = tl.minimum(before - 1 + TOKENS, tl.load(seq_lens + request))      # tokens that any of them sees
    unmasked = before // TILE * TILE
    highest = tl.full([ROWS], float("-inf"), tl.float32)    # of the scores, in powers of two
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, PADDED_D], tl.float32)
    for begin in tl.range(0, unmasked, TILE):
        acc, total, highest = _look_at(acc, total, highest, q, position, begin, end, scale, key_cache, value_cache, block_tables,
                                              k_block, k_token, v_block, v_token, D, PADDED_D, BLOCK_SIZE, TILE, False)
    for begin in tl.range(unmasked, end, TILE):
        acc, total, highest = _look_at(acc, total, highest, q, position, begin, end, scale, key_cache, value_cache, block_tables,
                                              k_block, k_token, v_block, v_token, D, PADDED_D, BLOCK_SIZE, TILE, True)

    acc /= total[:, None]
    if v_scale is not None:
        acc *= tl.load(v_scale)
    tl.store(out + ((start + query).to(tl.int64) * out_row + head * out_head)[:, None] + column[None, :], acc.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _look_at(acc, total, highest, q, position, begin, end, scale, key_cache, value_cache, block_tables, k_block, k_token, v_block, v_token,
             D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr, MASKED: tl.constexpr):
    """The online softmax takes in one tile of keys and values."""
    token, column = begin + tl.arange(0, TILE), tl.arange(0, PADDED_D)
    block = tl.load(block_tables + token // BLOCK_SIZE, mask=token < end, other=0).to(tl.int64)
    offset = token % BLOCK_SIZE
    k_at = key_cache + (block * k_block + offset * k_token)[:, None] + column[None, :]
    v_at = value_cache + (block * v_block + offset * v_token)[:, None] + column[None, :]
    if MASKED or PADDED_D != D:
        there = (token < end)[:, None] & (column < D)[None, :]
        k, v = tl.load(k_at, mask=there, other=0.0).to(q.dtype), tl.load(v_at, mask=there, other=0.0).to(q.dtype)
    else:
        k, v = tl.load(k_at).to(q.dtype), tl.load(v_at).to(q.dtype)
    scores = tl.dot(q, tl.trans(k), input_precision="ieee")
    if MASKED:
        scores = tl.where(token[None, :] <= position[:, None], scores, float("-inf"))
    new_highest = tl.maximum(highest, tl.max(scores, 1) * scale)
    weight = tl.exp2(scores * scale - new_highest[:, None])
    shrink = tl.exp2(highest - new_highest)
    total = total * shrink + tl.sum(weight, 1)
    if q.dtype == tl.float32:   # sums of a tile's own first: one after the other, thousands of roundings would add up. `fma`, or the compiler would make one sum of both
        acc = tl.fma(acc, tl.broadcast_to(shrink[:, None], acc.shape), tl.dot(weight, v, input_precision="ieee"))
    else:
        acc = tl.dot(weight.to(q.dtype), v, acc * shrink[:, None])
    return acc, total, new_highest


@triton.jit
def _owner(query_start, tile, num_requests, TOKENS: tl.constexpr):
    """The request of a tile, by halving: request i's tiles begin with number `query_start[i] // TOKENS + i`."""
    low, high = 0, num_requests
    while high - low > 1:
        middle = (low + high) // 2
        if tl.load(query_start + middle) // TOKENS + middle <= tile:
            low = middle
        else:
            high = middle
    return low


def flops(query_lens: list[int], seq_lens: list[int], num_heads: int, head_dim: int) -> int:
    """Two products of a multiplication and an addition for each pair of a query and a token that it sees."""
    seen = sum(length * (length + 1) // 2 - (length - new) * (length - new + 1) // 2 for new, length in zip(query_lens, seq_lens))
    return 4 * seen * num_heads * head_dim


def bytes_min(query_lens: list[int], seq_lens: list[int], num_heads: int, num_kv_heads: int, head_dim: int, element: int = 2, cache_element: int = 2) -> int:
    """Each key and value of a request with new tokens once; queries in, results out. `element`, `cache_element`: bytes of a number."""
    read = sum(length for new, length in zip(query_lens, seq_lens) if new)
    return 2 * read * num_kv_heads * head_dim * cache_element + 2 * sum(query_lens) * num_heads * head_dim * element
