"""Paged decode: your answer. The problem is in drills/kernels/paged_decode/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def paged_decode_kernel(queries, key_cache, value_cache, block_tables, seq_lens, out, scale, kv_heads, table_width,
                        GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """The GROUP query heads that read one KV head, for one request. ROWS: GROUP, padded to what tl.dot takes."""


def paged_decode(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor,
                 seq_lens: torch.Tensor) -> torch.Tensor:
    """Attention of one query per request over the tokens it has in the cache, with scale 1 / sqrt(D): like `queries`.

    `queries`: [requests, heads, D], float32 or float16. `key_cache`, `value_cache`: [blocks, block_size, KV heads, D], of the
    same dtype; query head h reads KV head h // (heads / KV heads), at most 16 heads the same. `block_tables`: int32
    [requests, most blocks]: token t of a request is in block `block_tables[request, t // block_size]`, at `t % block_size`.
    `seq_lens`: int32 [requests], how many tokens each has; the result of a request that has none is 0. All contiguous; D up to 128.
    """
    raise NotImplementedError("paged_decode: paged_decode is not written yet")
