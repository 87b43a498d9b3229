"""Divides by the sum of no weights: a row of padding becomes NaN."""
import triton
import triton.language as tl

from drills.kernels.paged_decode.solution import _launch

FAILS = {"test_a_request_without_tokens": r"requests of \[0\] tokens.*nan"}


@triton.jit
def paged_decode_kernel(queries, key_cache, value_cache, block_tables, seq_lens, out, scale, kv_heads, table_width,
                        GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    request, kv_head, lane, column = tl.program_id(0), tl.program_id(1), tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    length = tl.load(seq_lens + request)
    here, is_query = (request * kv_heads * GROUP + kv_head * GROUP + lane)[:, None] * D + column[None, :], (lane < GROUP)[:, None] & (column < D)[None, :]
    query = tl.load(queries + here, mask=is_query, other=0.0)
    highest, total, acc = tl.full([ROWS], -float("inf"), tl.float32), tl.zeros([ROWS], tl.float32), tl.zeros([ROWS, PADDED_D], tl.float32)
    for start in range(0, length, TILE):
        token = start + tl.arange(0, TILE)
        block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=token < length, other=0)
        there = ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head)[:, None] * D + column[None, :]
        is_key = (token < length)[:, None] & (column < D)[None, :]
        values = tl.load(value_cache + there, mask=is_key, other=0.0)
        scores = tl.dot(query, tl.trans(tl.load(key_cache + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        scores = tl.where((token < length)[None, :], scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights, shrink = tl.exp(scores - new[:, None]), tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_decode(*inputs):
    return _launch(paged_decode_kernel, *inputs)
