"""A program per tile of queries, which walks along the keys with an online softmax: no row of scores is ever whole."""
import torch
import triton
import triton.language as tl


@triton.jit
def flash_attention_kernel(q, k, v, out, length, scale, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """Causal attention of TILE queries of one head. PADDED_D: the power of two that D fits in, at least 16."""
    head, first = tl.program_id(0).to(tl.int64), tl.program_id(1) * TILE
    row, column = first + tl.arange(0, TILE), tl.arange(0, PADDED_D)
    here = (head * length + row)[:, None] * D + column[None, :]
    is_query = (row < length)[:, None] & (column < D)[None, :]
    queries = tl.load(q + here, mask=is_query, other=0.0)

    highest = tl.full([TILE], -float("inf"), tl.float32)    # score of each query so far
    total = tl.zeros([TILE], tl.float32)                    # of the weights, relative to the highest
    acc = tl.zeros([TILE, PADDED_D], tl.float32)            # weighted values, relative to the highest
    for start in range(0, tl.minimum(first + TILE, length), TILE):      # keys beyond the tile's last query are of no use
        token = start + tl.arange(0, TILE)
        there = (head * length + token)[:, None] * D + column[None, :]
        is_key = (token < length)[:, None] & (column < D)[None, :]
        keys = tl.load(k + there, mask=is_key, other=0.0)
        values = tl.load(v + there, mask=is_key, other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(token[None, :] <= row[:, None], scores, -float("inf"))
        new = tl.maximum(highest, tl.max(scores, axis=1))   # finite from the first tile on: every query sees token 0
        weights = tl.exp(scores - new[:, None])
        shrink = tl.exp(highest - new)
        total = total * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = new
    tl.store(out + here, (acc / total[:, None]).to(out.dtype.element_ty), mask=is_query)


def flash_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention with scale 1 / sqrt(D): [heads, length, D], of q's dtype.

    `q`, `k`, `v`: [heads, length, D], float32 or float16, contiguous; D up to 128. Token i sees the tokens 0 to i.
    """
    return _launch(flash_attention_kernel, q, k, v)


def _launch(kernel, q, k, v):
    out = torch.empty_like(q)
    heads, length, head_dim = q.shape
    if q.numel():
        kernel[(heads, triton.cdiv(length, 32))](q, k, v, out, length, head_dim ** -0.5, D=head_dim,
                                                 PADDED_D=max(16, triton.next_power_of_2(head_dim)), TILE=32)
    return out
