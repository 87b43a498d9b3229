"""Adds up exp(score) itself: one score above 88, and the sum is infinite."""
import triton
import triton.language as tl

from drills.kernels.flash_attention.solution import _launch

FAILS = {"test_large_scores": "scores around 400.*nan"}


@triton.jit
def flash_attention_kernel(q, k, v, out, length, scale, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    head, row, column = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE), tl.arange(0, PADDED_D)
    here, is_query = (head * length + row)[:, None] * D + column[None, :], (row < length)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)
    total, acc = tl.zeros([TILE], tl.float32), tl.zeros([TILE, PADDED_D], tl.float32)
    for start in range(0, length, TILE):
        token = start + tl.arange(0, TILE)
        there, is_key = (head * length + token)[:, None] * D + column[None, :], (token < length)[:, None] & (column < D)[None, :]
        values = tl.load(v + there, mask=is_key, other=0.0).to(tl.float32)
        scores = tl.dot(queries, tl.trans(tl.load(k + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        weights = tl.where(token[None, :] <= row[:, None], tl.exp(scores), 0.0)
        total += tl.sum(weights, axis=1)
        acc += tl.dot(weights, values, input_precision="ieee")
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def flash_attention(q, k, v):
    return _launch(flash_attention_kernel, q, k, v)
