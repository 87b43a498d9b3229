"""A program per request and KV head: the query heads of the group are rows of one tile, and the block table says where tokens are."""
import torch
import triton
import triton.language as tl


@triton.jit
def paged_decode_kernel(queries, key_cache, value_cache, block_tables, seq_lens, out, scale, kv_heads, table_width,
                        GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """The GROUP query heads that read one KV head, for one request. ROWS: GROUP, padded to what tl.dot takes."""
    request, kv_head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(seq_lens + request)
    lane, column = tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    here = (request * kv_heads * GROUP + kv_head * GROUP + lane)[:, None] * D + column[None, :]
    is_query = (lane < GROUP)[:, None] & (column < D)[None, :]
    query = tl.load(queries + here, mask=is_query, other=0.0)

    highest = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, PADDED_D], tl.float32)
    for start in range(0, length, TILE):
        token = start + tl.arange(0, TILE)
        block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=token < length, other=0)
        slot = block.to(tl.int64) * BLOCK_SIZE + token % BLOCK_SIZE
        there = (slot * kv_heads + kv_head)[:, None] * D + column[None, :]
        # Not only the scores need the mask: what lies beyond the end may be NaN, and a weight of 0 does not heal that.
        is_key = (token < length)[:, None] & (column < D)[None, :]
        keys = tl.load(key_cache + there, mask=is_key, other=0.0)
        values = tl.load(value_cache + there, mask=is_key, other=0.0)
        scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where((token < length)[None, :], scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp(scores - new[:, None])
        shrink = tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    total = tl.where(length == 0, 1.0, total)      # of no tokens, 0 / 1
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_decode(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor,
                 seq_lens: torch.Tensor) -> torch.Tensor:
    """Attention of one query per request over the tokens it has in the cache, with scale 1 / sqrt(D): like `queries`.

    `queries`: [requests, heads, D], float32 or float16. `key_cache`, `value_cache`: [blocks, block_size, KV heads, D], of the
    same dtype; query head h reads KV head h // (heads / KV heads), at most 16 heads the same. `block_tables`: int32
    [requests, most blocks]: token t of a request is in block `block_tables[request, t // block_size]`, at `t % block_size`.
    `seq_lens`: int32 [requests], how many tokens each has; the result of a request that has none is 0. All contiguous; D up to 128.
    """
    return _launch(paged_decode_kernel, queries, key_cache, value_cache, block_tables, seq_lens)


def _launch(kernel, queries, key_cache, value_cache, block_tables, seq_lens):
    out = torch.empty_like(queries)
    requests, heads, head_dim = queries.shape
    block_size, kv_heads = key_cache.shape[1:3]
    if requests:
        kernel[(requests, kv_heads)](
            queries, key_cache, value_cache, block_tables, seq_lens, out, head_dim ** -0.5, kv_heads, block_tables.shape[1], GROUP=heads // kv_heads,
            ROWS=16, D=head_dim, PADDED_D=max(16, triton.next_power_of_2(head_dim)), BLOCK_SIZE=block_size, TILE=32)
    return out
