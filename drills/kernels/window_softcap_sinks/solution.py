"""Flash attention with three additions: where the loop begins and what it masks, the cap on a score, and what the softmax begins with."""
import torch
import triton
import triton.language as tl


@triton.jit
def window_attention_kernel(q, k, v, sinks, out, new_tokens, length, window, scale, softcap,
                            CAPPED: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """TILE queries of one head. CAPPED: whether softcap is to be used."""
    head, first = tl.program_id(0).to(tl.int64), tl.program_id(1) * TILE
    query, column = first + tl.arange(0, TILE), tl.arange(0, PADDED_D)
    before = length - new_tokens
    position = before + query
    here = (head * new_tokens + query)[:, None] * D + column[None, :]
    is_query = (query < new_tokens)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)

    highest = tl.full([TILE], -float("inf"), tl.float32)
    total = tl.zeros([TILE], tl.float32)
    acc = tl.zeros([TILE, PADDED_D], tl.float32)
    if sinks is not None:       # as if a token with that score and the value 0 had been there: its weight is exp(0)
        highest = tl.zeros([TILE], tl.float32) + tl.load(sinks + head)
        total += 1.0
    oldest = tl.maximum(before + first - window + 1, 0)     # that any query of the tile sees; those before may be gone
    end = tl.minimum(before + first + TILE, length)
    for start in range(oldest // TILE * TILE, end, TILE):
        token = start + tl.arange(0, TILE)
        there = (head * length + token)[:, None] * D + column[None, :]
        is_key = ((token >= oldest) & (token < end))[:, None] & (column < D)[None, :]
        keys = tl.load(k + there, mask=is_key, other=0.0)
        values = tl.load(v + there, mask=is_key, other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
        if CAPPED:      # c * tanh(s / c), with one exp, so that nothing is infinity / infinity
            scores = softcap * (1.0 - 2.0 / (tl.exp(2.0 * scores / softcap) + 1.0))
        distance = position[:, None] - token[None, :]
        scores = tl.where((distance >= 0) & (distance < window), scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))
        shift = tl.where(new == -float("inf"), 0.0, new)    # a query may see nothing of the tile's first keys
        weights = tl.exp(scores - shift[:, None])
        shrink = tl.exp(highest - shift)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def window_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int = 0, softcap: float = 0.0,
                     sinks: torch.Tensor | None = None) -> torch.Tensor:
    """Causal attention of the last tokens of a sequence, with scale 1 / sqrt(D): like `q`.

    `q`: [heads, new tokens, D], float32 or float16; `k`, `v`: [heads, length, D], of the same dtype; the queries are those of the
    last tokens. `window`: a token sees itself and the window - 1 tokens before it; 0: all before it. `softcap`: a scaled score s
    becomes softcap * tanh(s / softcap); 0: it stays. `sinks`: float32 [heads], a score per head that takes part in the softmax, as it is,
    and has no value; None: there is none. All contiguous; D up to 128.
    """
    return _launch(window_attention_kernel, q, k, v, window, softcap, sinks)


def _launch(kernel, q, k, v, window=0, softcap=0.0, sinks=None):
    out = torch.empty_like(q)
    heads, new_tokens, head_dim = q.shape
    length = k.shape[1]
    if q.numel():
        kernel[(heads, triton.cdiv(new_tokens, 16))](q, k, v, sinks, out, new_tokens, length, window or length, head_dim ** -0.5, softcap, CAPPED=softcap > 0,
                                                     D=head_dim, PADDED_D=max(16, triton.next_power_of_2(head_dim)), TILE=16)
    return out
