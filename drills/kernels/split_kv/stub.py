"""Split KV: your answer. The problem is in drills/kernels/split_kv/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def attend_splits_kernel(query, keys, values, length, partial, highest, total, scale, heads,
                         ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, TILE: tl.constexpr):
    """The part of one split: all heads, the tokens from its first to its last."""


@triton.jit
def merge_splits_kernel(partial, highest, total, out, splits, heads, D: tl.constexpr, PADDED_D: tl.constexpr, SPLITS: tl.constexpr):
    """One head: the parts of all splits at once. SPLITS: the power of two that `splits` fits in."""


def attend_splits(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: torch.Tensor,
                  splits: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The parts (partial, highest, total) of the splits, all float32: [splits, heads, D], [splits, heads], [splits, heads].

    `query`: [heads, D], 1 to 16 heads, float32 or float16. `keys`, `values`: [capacity, D] of the same dtype, of which the first
    `length` are tokens. `length`: int32 [1]; only the device knows it. With size = ceil(length / splits), split i has the tokens
    from i * size to (i + 1) * size, as far as there are any. Of its scores q k / sqrt(D), `highest` is the highest, `total` the
    sum of exp(score - highest), and `partial` the sum of exp(score - highest) * value. A split without
    tokens has highest -inf and total 0, and anything as its partial.
    """
    raise NotImplementedError("split_kv: attend_splits is not written yet")


def merge_splits(partial: torch.Tensor, highest: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """The attention [heads, D], float32, that the parts add up to; 0 if all are empty. Takes what `attend_splits` gives."""
    raise NotImplementedError("split_kv: merge_splits is not written yet")


def split_kv(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, length: torch.Tensor, splits: int) -> torch.Tensor:
    """Attention of `query` over the first `length` tokens, by `splits` programs: [heads, D], float32. Arguments as for `attend_splits`."""
    raise NotImplementedError("split_kv: split_kv is not written yet")
