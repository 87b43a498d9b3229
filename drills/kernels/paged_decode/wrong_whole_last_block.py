"""Rounds the length up to whole blocks: the unused slots of the last block count as tokens."""
import triton
import triton.language as tl

from drills.kernels.paged_decode.solution import _launch

FAILS = {"test_any_lengths": r"requests of \[1\] tokens", "test_a_request_without_tokens": r"requests of \[3, 0, 6\] tokens",
         "test_query_heads_share_kv_heads": "1 query heads on 1 KV heads", "test_any_block_size_and_head_dim": "blocks of 3",
         "test_what_nobody_has_written_is_not_a_number": "slot beyond the end was read", "test_large_scores": "scores of some hundreds",
         "test_half_precision": "float16"}


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
        block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=token < tl.cdiv(length, BLOCK_SIZE) * BLOCK_SIZE, other=0)
        there = ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + kv_head)[:, None] * D + column[None, :]
        is_key = (token < tl.cdiv(length, BLOCK_SIZE) * BLOCK_SIZE)[:, None] & (column < D)[None, :]
        values = tl.load(value_cache + there, mask=is_key, other=0.0)
        scores = tl.dot(query, tl.trans(tl.load(key_cache + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        scores = tl.where((token < tl.cdiv(length, BLOCK_SIZE) * BLOCK_SIZE)[None, :], scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights, shrink = tl.exp(scores - new[:, None]), tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / tl.where(length == 0, 1.0, total)[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_decode(*inputs):
    return _launch(paged_decode_kernel, *inputs)
