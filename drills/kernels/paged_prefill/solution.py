"""A program per request, head and tile of its new tokens; most of it is to find out where these are and what they may see."""
import torch
import triton
import triton.language as tl


@triton.jit
def paged_prefill_kernel(queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, out, scale, kv_heads, table_width,
                         GROUP: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """Causal attention of up to TILE new tokens of one request, for one query head."""
    request, head, tile = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    first_row, end_row = tl.load(query_start_loc + request), tl.load(query_start_loc + request + 1)
    query_len, seq_len = end_row - first_row, tl.load(seq_lens + request)
    first = tile * TILE
    if first < query_len:       # the grid has as many tiles for each request as the longest needs
        query, column = first + tl.arange(0, TILE), tl.arange(0, PADDED_D)
        position = seq_len - query_len + query      # in the request: what was computed earlier comes before the new tokens
        heads = tl.num_programs(1)
        here = ((first_row + query).to(tl.int64) * heads + head)[:, None] * D + column[None, :]
        is_query = (query < query_len)[:, None] & (column < D)[None, :]
        q = tl.load(queries + here, mask=is_query, other=0.0)

        highest = tl.full([TILE], -float("inf"), tl.float32)
        total = tl.zeros([TILE], tl.float32)
        acc = tl.zeros([TILE, PADDED_D], tl.float32)
        end = tl.minimum(seq_len - query_len + first + TILE, seq_len)       # no query of the tile sees more
        for start in range(0, end, TILE):
            token = start + tl.arange(0, TILE)
            block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=token < end, other=0)
            slot = block.to(tl.int64) * BLOCK_SIZE + token % BLOCK_SIZE
            there = (slot * kv_heads + head // GROUP)[:, None] * D + column[None, :]
            is_key = (token < end)[:, None] & (column < D)[None, :]
            keys = tl.load(key_cache + there, mask=is_key, other=0.0)
            values = tl.load(value_cache + there, mask=is_key, other=0.0)
            scores = tl.dot(q, tl.trans(keys), input_precision="ieee") * scale
            scores = tl.where(token[None, :] <= position[:, None], scores, -float("inf"))
            new = tl.maximum(highest, tl.max(scores, axis=1))
            weights = tl.exp(scores - new[:, None])
            shrink = tl.exp(highest - new)
            total = total * shrink + tl.sum(weights, axis=1)
            acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
            highest = new
        tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_prefill(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor, seq_lens: torch.Tensor,
                  query_start_loc: torch.Tensor, max_query_len: int) -> torch.Tensor:
    """Causal attention of the new tokens of several requests, with scale 1 / sqrt(D): like `queries`.

    `queries`: [tokens, heads, D], float32 or float16: rows `query_start_loc[i]` up to, not including, `query_start_loc[i + 1]`
    are the new tokens of request i, the last ones of its `seq_lens[i]`; there may be none. Their keys and values are in the cache already.
    `query_start_loc`: int32 [requests + 1], from 0 to tokens; `max_query_len`: the most new tokens that a request has.
    `key_cache`, `value_cache`: [blocks, block_size, KV heads, D]; query head h reads KV head h // (heads / KV heads).
    `block_tables`: int32 [requests, most blocks]; `seq_lens`: int32 [requests]. All contiguous; D up to 128.
    """
    return _launch(paged_prefill_kernel, queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, max_query_len)


def _launch(kernel, queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, max_query_len):
    out = torch.empty_like(queries)
    num_tokens, heads, head_dim = queries.shape
    block_size, kv_heads = key_cache.shape[1:3]
    if num_tokens:
        kernel[(len(seq_lens), heads, triton.cdiv(max_query_len, 16))](
            queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, out, head_dim ** -0.5, kv_heads, block_tables.shape[1],
            GROUP=heads // kv_heads, D=head_dim, PADDED_D=max(16, triton.next_power_of_2(head_dim)), BLOCK_SIZE=block_size, TILE=16)
    return out
