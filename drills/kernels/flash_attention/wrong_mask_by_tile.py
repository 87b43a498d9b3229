"""Leaves out whole tiles of the future, and takes the tile on the diagonal as it is: a query sees up to 31 tokens ahead."""
import triton
import triton.language as tl

from drills.kernels.flash_attention.solution import _launch

FAILS = {"test_any_length": "2 heads, 2 tokens", "test_many_tiles": "130 tokens", "test_nobody_sees_the_future": "the result of token 0",
         "test_any_head_dim": "2 heads of 1,", "test_large_scores": "scores around -?400", "test_half_precision": "float16"}


@triton.jit
def flash_attention_kernel(q, k, v, out, length, scale, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    head, first, column = tl.program_id(0), tl.program_id(1) * TILE, tl.arange(0, PADDED_D)
    row = first + tl.arange(0, TILE)
    here, is_query = (head * length + row)[:, None] * D + column[None, :], (row < length)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)
    highest, total, acc = tl.full([TILE], -float("inf"), tl.float32), tl.zeros([TILE], tl.float32), tl.zeros([TILE, PADDED_D], tl.float32)
    for start in range(0, first + TILE, TILE):
        token = start + tl.arange(0, TILE)
        there, is_key = (head * length + token)[:, None] * D + column[None, :], (token < length)[:, None] & (column < D)[None, :]
        values = tl.load(v + there, mask=is_key, other=0.0)
        scores = tl.dot(queries, tl.trans(tl.load(k + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        scores = tl.where(token[None, :] < length, scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights, shrink = tl.exp(scores - new[:, None]), tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def flash_attention(q, k, v):
    return _launch(flash_attention_kernel, q, k, v)
