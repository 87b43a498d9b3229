"""Has no mask for the last tile of queries: its other rows belong to the next request, or to nobody."""
import triton
import triton.language as tl

from drills.kernels.paged_prefill.solution import _launch

FAILS = {"test_one_request": "beyond the end", "test_behind_a_cached_prefix": "beyond the end", "test_a_mixed_batch": "beyond the end",
         "test_chunks_make_the_whole": "beyond the end", "test_what_nobody_has_written_is_not_a_number": "beyond the end",
         "test_other_shapes": "beyond the end", "test_half_precision": "beyond the end"}


@triton.jit
def paged_prefill_kernel(queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, out, scale, kv_heads, table_width,
                         GROUP: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    request, head, first = tl.program_id(0), tl.program_id(1), tl.program_id(2) * TILE
    first_row, seq_len = tl.load(query_start_loc + request), tl.load(seq_lens + request)
    query_len = tl.load(query_start_loc + request + 1) - first_row
    if first < query_len:
        query, column = first + tl.arange(0, TILE), tl.arange(0, PADDED_D)
        position = seq_len - query_len + query
        here = ((first_row + query) * tl.num_programs(1) + head)[:, None] * D + column[None, :]
        is_query = (query >= 0)[:, None] & (column < D)[None, :]
        q = tl.load(queries + here, mask=is_query, other=0.0)
        highest, total, acc = tl.full([TILE], -float("inf"), tl.float32), tl.zeros([TILE], tl.float32), tl.zeros([TILE, PADDED_D], tl.float32)
        for start in range(0, seq_len, TILE):
            token = start + tl.arange(0, TILE)
            block = tl.load(block_tables + request * table_width + token // BLOCK_SIZE, mask=token < seq_len, other=0)
            there = ((block * BLOCK_SIZE + token % BLOCK_SIZE) * kv_heads + head // GROUP)[:, None] * D + column[None, :]
            is_key = (token < seq_len)[:, None] & (column < D)[None, :]
            values = tl.load(value_cache + there, mask=is_key, other=0.0)
            scores = tl.dot(q, tl.trans(tl.load(key_cache + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
            scores = tl.where(token[None, :] <= position[:, None], scores, -float("inf"))
            new = tl.maximum(highest, tl.max(scores, axis=1))
            weights, shrink = tl.exp(scores - new[:, None]), tl.exp(highest - new)
            total = total * shrink + tl.sum(weights, axis=1)
            acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
            highest = new
        tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def paged_prefill(*inputs):
    return _launch(paged_prefill_kernel, *inputs)
