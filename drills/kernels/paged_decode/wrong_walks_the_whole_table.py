"""Follows all entries of the block table and forgets what it read beyond the end: but those entries mean nothing, and lead anywhere."""
import triton
import triton.language as tl

from drills.kernels.paged_decode.solution import _launch

FAILS = {"test_entries_beyond_the_end_mean_nothing": "killed its process|illegal memory access"}


@triton.jit
def paged_decode_kernel(queries, key_cache, value_cache, block_tables, seq_lens, out, scale, kv_heads, table_width,
                        GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    request, kv_head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(seq_lens + request)
    lane, column = tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    here = (request * kv_heads * GROUP + kv_head * GROUP + lane)[:, None] * D + column[None, :]
    is_query = (lane < GROUP)[:, None] & (column < D)[None, :]
    query = tl.load(queries + here, mask=is_query, other=0.0)
    highest, total, acc = tl.full([ROWS], -1e30, tl.float32), tl.zeros([ROWS], tl.float32), tl.zeros([ROWS, PADDED_D], tl.float32)
    for start in range(0, table_width * BLOCK_SIZE, TILE):
        token = start + tl.arange(0, TILE)
        there, live = token < table_width * BLOCK_SIZE, (token < length)[:, None]
        block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=there, other=0).to(tl.int64)
        slot = ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head)[:, None] * D + column[None, :]
        is_key = there[:, None] & (column < D)[None, :]
        keys = tl.where(live, tl.load(key_cache + slot, mask=is_key, other=0.0), 0.0)
        values = tl.where(live, tl.load(value_cache + slot, mask=is_key, other=0.0), 0.0)
        scores = tl.where(tl.trans(live), tl.dot(query, tl.trans(keys), input_precision="ieee") * scale, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights, shrink = tl.exp(scores - new[:, None]), tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / tl.where(length == 0, 1.0, total)[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_decode(*inputs):
    return _launch(paged_decode_kernel, *inputs)
