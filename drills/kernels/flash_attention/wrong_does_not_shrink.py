"""Corrects the sum of the weights for a new highest score, and forgets the weighted values gathered so far."""
import triton
import triton.language as tl

from drills.kernels.flash_attention.solution import _launch

FAILS = {"test_any_length": "2 heads, 45 tokens", "test_many_tiles": "130 tokens", "test_large_scores": "400", "test_half_precision": "float16"}


@triton.jit
def flash_attention_kernel(q, k, v, out, length, scale, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    head, row, column = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE), tl.arange(0, PADDED_D)
    here, is_query = (head * length + row)[:, None] * D + column[None, :], (row < length)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)
    highest, total, acc = tl.full([TILE], -float("inf"), tl.float32), tl.zeros([TILE], tl.float32), tl.zeros([TILE, PADDED_D], tl.float32)
    for start in range(0, length, TILE):
        token = start + tl.arange(0, TILE)
        there, is_key = (head * length + token)[:, None] * D + column[None, :], (token < length)[:, None] & (column < D)[None, :]
        values = tl.load(v + there, mask=is_key, other=0.0)
        scores = tl.dot(queries, tl.trans(tl.load(k + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        scores = tl.where(token[None, :] <= row[:, None], scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp(scores - new[:, None])
        total = total * tl.exp(highest - new) + tl.sum(weights, axis=1)
        acc += tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def flash_attention(q, k, v):
    return _launch(flash_attention_kernel, q, k, v)
