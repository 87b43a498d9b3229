"""A program per split leaves what it has found out about its tokens; another kernel weighs the parts and adds them up."""
import torch
import triton
import triton.language as tl


@triton.jit
def attend_splits_kernel(query, keys, values, length, partial, highest, total, scale, heads,
                         ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """The part of one split: all heads, the tokens from its first to its last."""
    split, splits = tl.program_id(0), tl.num_programs(0)
    num_tokens = tl.load(length)
    size = tl.cdiv(num_tokens, splits)
    first, end = split * size, tl.minimum((split + 1) * size, num_tokens)
    row, column = tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    is_head = (row < heads)[:, None] & (column < D)[None, :]
    q = tl.load(query + row[:, None] * D + column[None, :], mask=is_head, other=0.0)

    best = tl.full([ROWS], -float("inf"), tl.float32)
    weight = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, PADDED_D], tl.float32)
    for start in range(first, end, TILE):       # none, if the split is empty
        token = start + tl.arange(0, TILE)
        there = token.to(tl.int64)[:, None] * D + column[None, :]
        is_token = (token < end)[:, None] & (column < D)[None, :]
        k = tl.load(keys + there, mask=is_token, other=0.0)
        v = tl.load(values + there, mask=is_token, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        scores = tl.where((token < end)[None, :], scores, -float("inf"))
        new = tl.maximum(best, tl.max(scores, axis=1))
        weights = tl.exp(scores - new[:, None])
        shrink = tl.exp(best - new)
        weight = weight * shrink + tl.sum(weights, axis=1)
        acc = acc * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        best = new
    place = split * heads + row
    tl.store(highest + place, best, mask=row < heads)
    tl.store(total + place, weight, mask=row < heads)
    tl.store(partial + place[:, None] * D + column[None, :], acc, mask=is_head)


@triton.jit
def merge_splits_kernel(partial, highest, total, out, splits, heads, D: tl.constexpr, PADDED_D: tl.constexpr, SPLITS: tl.constexpr):
    """One head: the parts of all splits at once. SPLITS: the power of two that `splits` fits in."""
    head, split, column = tl.program_id(0), tl.arange(0, SPLITS), tl.arange(0, PADDED_D)
    place = split * heads + head
    its_total = tl.load(total + place, mask=split < splits, other=0.0)
    is_full = its_total > 0
    its_highest = tl.load(highest + place, mask=is_full, other=-float("inf"))
    best = tl.max(its_highest, axis=0)
    best = tl.where(best == -float("inf"), 0.0, best)       # if all are empty: -inf - -inf is not a number
    factor = tl.exp(its_highest - best)
    parts = tl.load(partial + place[:, None] * D + column[None, :], mask=is_full[:, None] & (column < D)[None, :], other=0.0)
    weight = tl.sum(its_total * factor, axis=0)
    result = tl.sum(parts * factor[:, None], axis=0) / tl.where(weight > 0, weight, 1.0)
    tl.store(out + head * D + column, result, mask=column < D)


def attend_splits(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: torch.Tensor,
                  splits: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The parts (partial, highest, total) of the splits, all float32: [splits, heads, D], [splits, heads], [splits, heads].

    `query`: [heads, D], 1 to 16 heads, float32 or float16. `keys`, `values`: [capacity, D] of the same dtype, of which the first
    `length` are tokens. `length`: int32 [1]; only the device knows it. With size = ceil(length / splits), split i has the tokens
    from i * size to (i + 1) * size, as far as there are any. Of its scores q k / sqrt(D), `highest` is the highest, `total` the
    sum of exp(score - highest), and `partial` the sum of exp(score - highest) * value. A split without
    tokens has highest -inf and total 0, and anything as its partial.
    """
    heads, head_dim = query.shape
    partial = torch.empty(splits, heads, head_dim, dtype=torch.float32, device=query.device)
    highest = torch.empty(splits, heads, dtype=torch.float32, device=query.device)
    total = torch.empty(splits, heads, dtype=torch.float32, device=query.device)
    attend_splits_kernel[(splits,)](query, keys, values, length, partial, highest, total, head_dim ** -0.5, heads,
                                    ROWS=16, D=head_dim, PADDED_D=max(16, triton.next_power_of_2(head_dim)), TILE=32)
    return partial, highest, total


def merge_splits(partial: torch.Tensor, highest: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """The attention [heads, D], float32, that the parts add up to; 0 if all are empty. Takes what `attend_splits` gives."""
    return _merge(merge_splits_kernel, partial, highest, total)


def _merge(kernel, partial, highest, total):
    splits, heads, head_dim = partial.shape
    out = torch.empty(heads, head_dim, dtype=torch.float32, device=partial.device)
    kernel[(heads,)](partial, highest, total, out, splits, heads, D=head_dim, PADDED_D=triton.next_power_of_2(head_dim),
                     SPLITS=triton.next_power_of_2(splits))
    return out


def split_kv(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: torch.Tensor, splits: int) -> torch.Tensor:
    """Attention of `query` over the first `length` tokens, by `splits` programs: [heads, D], float32. Arguments as for `attend_splits`."""
    return merge_splits(*attend_splits(query, keys, values, length, splits))
