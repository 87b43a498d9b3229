"""Forgets that a query at the end of a tile may see none of the first keys: -inf - -inf is NaN."""
import triton
import triton.language as tl

from drills.kernels.window_softcap_sinks.solution import _launch

FAILS = {"test_the_window": "20 tokens, window 3", "test_half_precision": "float16"}


@triton.jit
def window_attention_kernel(q, k, v, sinks, out, new_tokens, length, window, scale, softcap,
                            CAPPED: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    head, first, column = tl.program_id(0), tl.program_id(1) * TILE, tl.arange(0, PADDED_D)
    query = first + tl.arange(0, TILE)
    before = length - new_tokens
    here, is_query = (head * new_tokens + query)[:, None] * D + column[None, :], (query < new_tokens)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)
    highest, total, acc = tl.full([TILE], -float("inf"), tl.float32), tl.zeros([TILE], tl.float32), tl.zeros([TILE, PADDED_D], tl.float32)
    sink = -float("inf")
    if sinks is not None:
        sink = tl.load(sinks + head)
    highest, total = tl.zeros([TILE], tl.float32) + sink, tl.where(sink == -float("inf"), total, 1.0)
    oldest = tl.maximum(before + first - window + 1, 0)
    for start in range(oldest // TILE * TILE, tl.minimum(before + first + TILE, length), TILE):
        token = start + tl.arange(0, TILE)
        there, is_key = (head * length + token)[:, None] * D + column[None, :], ((token >= oldest) & (token < length))[:, None] & (column < D)[None, :]
        values = tl.load(v + there, mask=is_key, other=0.0)
        scores = tl.dot(queries, tl.trans(tl.load(k + there, mask=is_key, other=0.0)), input_precision="ieee") * scale
        distance = (before + query)[:, None] - token[None, :]
        if CAPPED:
            scores = softcap * (1.0 - 2.0 / (tl.exp(2.0 * scores / softcap) + 1.0))
        scores = tl.where((distance >= 0) & (distance < window), scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        shift = new
        weights, shrink = tl.exp(scores - shift[:, None]), tl.exp(highest - shift)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def window_attention(*inputs, **named):
    return _launch(window_attention_kernel, *inputs, **named)
