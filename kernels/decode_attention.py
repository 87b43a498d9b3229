"""Paged decode attention: one new token a request, against all keys and values it has so far.

Nothing but bytes counts here: each key and value is read once and used for a handful
of query heads. So

- the query heads that read one KV head are attended to together (GQA packing): its keys come in once;
- the tokens of all requests are shared out among as many programs as run at once, equally, wherever that cuts a request
  (split-KV). Each part of a cut request leaves a partial result, its highest score and the sum of its weights, and a second
  kernel merges them;
- the shares are decided on the device, once a step (`make_plan`), from the lengths and the number of multiprocessors:
  the grid depends on shapes alone, so that a CUDA graph of it serves any lengths.

Mirrors `v1/attention/ops/triton_unified_attention.py::unified_attention` (its segmented mode) and what
FlashAttention-3 does for one query.
"""
import math
from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before

# What a program looks at in one go, in tokens, and how; by the bytes of a number of the queries, and of the cache. Several stages because
# each tile takes two steps, its block ids and then its keys and values. Float32 has no tensor cores, and its products need more registers.
TILES = {(2, 2): {"TILE": 64, "num_warps": 4, "num_stages": 4}, (2, 1): {"TILE": 128, "num_warps": 4, "num_stages": 5},
         (4, 4): {"TILE": 32, "num_warps": 8, "num_stages": 3}, (4, 1): {"TILE": 32, "num_warps": 8, "num_stages": 3}}
GRAIN = 64              # tokens: items are multiples, but for the last of a request
SHORTEST_SHARE = 256    # tokens: below, merging costs more than the parallel work brings
PROGRAMS_PER_SM = 3     # as many as run at once, so that all begin and end together
# Among many requests hardly one is cut in pieces, and what counts is that few programs have to find out that there is nothing to merge.
MANY = 64
MERGE_FEW, MERGE_MANY = {"HEADS": 1, "SPLITS": 32, "num_warps": 1}, {"HEADS": 4, "SPLITS": 8, "num_warps": 4}


def decode_attention_twin(queries, key_cache, value_cache, block_tables, seq_lens, scale=None, k_scale=None, v_scale=None) -> torch.Tensor:
    """`decode_attention` as its definition says: request by request, the whole softmax at once."""
    heads_per_kv = queries.shape[1] // key_cache.shape[2]
    out = torch.zeros_like(queries)
    for row, length in enumerate(seq_lens.tolist()):
        if not length:
            continue
        blocks = block_tables[row, :-(-length // key_cache.shape[1])].long()
        keys, values = (_dequantised(cache[blocks].flatten(0, 1)[:length], by, queries.dtype).repeat_interleave(heads_per_kv, dim=1)
                        for cache, by in ((key_cache, k_scale), (value_cache, v_scale)))     # [length, heads, D]
        scores = torch.einsum("hd,thd->ht", queries[row], keys) * (queries.shape[-1] ** -0.5 if scale is None else scale)
        out[row] = torch.einsum("ht,thd->hd", scores.softmax(-1), values)
    return out


def _dequantised(x: torch.Tensor, scale: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    return x.to(dtype) if scale is None else x.to(dtype) * scale.to(dtype)


@dataclass(slots=True)
class Plan:
    """Who computes what in a step; all layers share it.

    `items`: int32 [most items, 4], each (request, first token, token after the last, whether it is the request's only one);
    `first`: int32 [requests + 1], the first item of each request, and their number;
    `begin`: int32 [programs + 1], the first item of each program, and their number.
    """

    items: torch.Tensor
    first: torch.Tensor
    begin: torch.Tensor


def make_plan(seq_lens: torch.Tensor, num_kv_heads: int, programs_per_sm: int = PROGRAMS_PER_SM) -> Plan:
    """Share the tokens out so that all programs have equally much to do. `seq_lens`: int32 [requests].

    All tokens of all requests stand in a line, which is cut into equal shares, one a program (stream-K). Where a request ends inside
    of a share, or a share inside of a request, an item ends: so there are at most as many items as programs and requests.
    """
    num_requests, programs = len(seq_lens), max(1, _num_sms(seq_lens.device) * programs_per_sm // num_kv_heads)
    items = torch.empty((max(num_requests, 1) + programs, 4), dtype=torch.int32, device=seq_lens.device)
    first = torch.empty(num_requests + 1, dtype=torch.int32, device=seq_lens.device)
    begin = torch.empty(programs + 1, dtype=torch.int32, device=seq_lens.device)
    _plan[(len(items),)](seq_lens, items, first, begin, num_requests, programs, SHORTEST_SHARE // GRAIN, GRAIN, triton.next_power_of_2(num_requests + 1), **EARLY)
    return Plan(items, first, begin)


@triton.jit
def _plan(seq_lens, items, first, begin, num_requests, num_shares, SHORTEST: tl.constexpr, GRAIN: tl.constexpr, REQUESTS: tl.constexpr):
    """A program an item, which finds out by itself whose it is: sums over all requests cost less than talking. In grains."""
    await_the_kernel_before()
    item = tl.program_id(0)
    request = tl.arange(0, REQUESTS)
    length = tl.load(seq_lens + request, mask=request < num_requests, other=0)
    grains = tl.cdiv(length, GRAIN)
    stop = tl.cumsum(grains)
    start = stop - grains
    share = tl.maximum(tl.cdiv(tl.sum(grains), num_shares), SHORTEST)
    first_share = start // share        # of the request
    count = tl.where(grains > 0, (stop - 1) // share - first_share + 1, 0)
    end = tl.cumsum(count)
    if item == 0:
        tl.store(first + request, end - count, mask=request <= num_requests)
    if item <= num_shares:
        tl.store(begin + item, tl.sum(tl.minimum(tl.maximum(item - first_share, 0), count)))    # the items of shares before
    mine = (end - count <= item) & (item < end)
    owner = tl.sum(tl.where(mine, request, 0))
    cut = tl.sum(tl.where(mine, first_share + item - (end - count), 0)) * share     # where the item's share begins
    line = tl.sum(tl.where(mine, start, 0))                                         # where its request does
    tl.store(items + item * 4, owner)
    tl.store(items + item * 4 + 1, tl.maximum(cut - line, 0) * GRAIN)
    tl.store(items + item * 4 + 2, tl.minimum((cut + share - line) * GRAIN, tl.sum(tl.where(mine, length, 0))))    # an item that is nobody's stops at 0
    tl.store(items + item * 4 + 3, tl.sum(tl.where(mine, count, 0)) == 1)


def decode_attention(queries: torch.Tensor, key_cache: torch.Tensor, value_cache: torch.Tensor, block_tables: torch.Tensor, seq_lens: torch.Tensor,
                     plan: Plan | None = None, scale: float | None = None, k_scale: torch.Tensor | None = None, v_scale: torch.Tensor | None = None,
                     out: torch.Tensor | None = None, *, tiles: dict[str, int] | None = None) -> torch.Tensor:
    """Attention of one token a request: [requests, heads, D], as `queries` are.

    `key_cache`, `value_cache`: [blocks, block size, KV heads, D], of the queries' dtype or float8_e4m3fn with `k_scale`
    and `v_scale`, float32 [1]; query head h reads KV head h // (heads / KV heads). `block_tables`: int32 [requests, most
    blocks]; `seq_lens`: int32 [requests], the new token included; 0 is a row of padding, whose result is 0.
    `plan`: of these `seq_lens`, if it is there already. `scale`: 1 / sqrt(D) unless told. `tiles`: others than `TILES`, to measure them.
    """
    num_requests, num_heads, head_dim = queries.shape
    num_kv_heads = key_cache.shape[2]
    check(queries, key_cache, value_cache, block_tables, seq_lens, scale, k_scale, v_scale, out)
    if num_requests != len(seq_lens):
        raise ValueError(f"{num_requests} queries for {len(seq_lens)} lengths: there must be one a request")
    if plan and len(plan.first) != num_requests + 1:
        raise ValueError(f"the plan is for {len(plan.first) - 1} requests, and there are {num_requests}: make one for these lengths")
    out = torch.empty_like(queries, memory_format=torch.contiguous_format) if out is None else out
    if not num_requests:
        return out
    plan = plan or make_plan(seq_lens, num_kv_heads)
    partial = torch.empty((len(plan.items), num_heads, head_dim), dtype=torch.float32, device=queries.device)
    states = torch.empty((len(plan.items), num_heads, 2), dtype=torch.float32, device=queries.device)     # highest score, sum of weights
    padded_dim = max(16, triton.next_power_of_2(head_dim))
    scale = (head_dim ** -0.5 if scale is None else scale) * math.log2(math.e)
    _attend[(num_kv_heads, len(plan.begin) - 1)](
        queries, key_cache, value_cache, block_tables, plan.items, plan.begin, out, partial, states, k_scale, v_scale, scale,
        *queries.stride()[:2], *key_cache.stride()[:3], *value_cache.stride()[:3], block_tables.stride(0), *out.stride()[:2],
        GROUP=num_heads // num_kv_heads, ROWS=max(16, triton.next_power_of_2(num_heads // num_kv_heads)), D=head_dim, PADDED_D=padded_dim,
        BLOCK_SIZE=key_cache.shape[1], **(tiles or TILES[queries.element_size(), key_cache.element_size()]), **EARLY)
    merge = MERGE_FEW if num_requests < MANY or num_heads % MERGE_MANY["HEADS"] else MERGE_MANY
    _merge[(num_requests, num_heads // merge["HEADS"])](partial, states, plan.first, out, k_scale, scale, *out.stride()[:2], num_heads,
                                                        D=head_dim, PADDED_D=padded_dim, **merge, **EARLY)
    return out


def check(queries, key_cache, value_cache, block_tables, seq_lens, scale, k_scale, v_scale, out) -> None:
    """Raises `ValueError` if these can't belong together. Looks at shapes, types and strides only, which costs no synchronisation."""
    if queries.dtype not in (torch.float32, torch.bfloat16, torch.float16) or key_cache.dtype != value_cache.dtype or key_cache.dtype not in (queries.dtype, torch.float8_e4m3fn):
        raise ValueError(f"queries are {queries.dtype}, keys {key_cache.dtype}, values {value_cache.dtype}: "
                         "float32, bfloat16 or float16, and both caches the queries' dtype or float8_e4m3fn")
    if (key_cache.dtype == torch.float8_e4m3fn) != (k_scale is not None) or (k_scale is None) != (v_scale is None):
        raise ValueError("a float8_e4m3fn cache needs k_scale and v_scale, and no other cache has them")
    if any(each is not None and (each.dtype != torch.float32 or each.numel() != 1) for each in (k_scale, v_scale)):
        raise ValueError("k_scale and v_scale must be float32 tensors of one number each")
    if key_cache.shape != value_cache.shape or key_cache.dim() != 4 or key_cache.shape[-1] != queries.shape[-1]:
        raise ValueError(f"keys {list(key_cache.shape)}, values {list(value_cache.shape)} and queries {list(queries.shape)}: "
                         "the caches must be alike, [blocks, block size, KV heads, D], with the queries' D")
    if queries.shape[1] % key_cache.shape[2]:
        raise ValueError(f"{queries.shape[1]} query heads cannot share {key_cache.shape[2]} KV heads evenly")
    if scale is not None and not scale > 0:
        raise ValueError(f"scale is {scale}, and must be above 0: the highest score is looked for before it is applied")
    if len(block_tables) != len(seq_lens):
        raise ValueError(f"{len(block_tables)} block tables for {len(seq_lens)} lengths: there must be one a request")
    if any(x.dtype != torch.int32 for x in (block_tables, seq_lens)):
        raise ValueError(f"block_tables and seq_lens must be int32, and are {block_tables.dtype} and {seq_lens.dtype}")
    if out is not None and (out.shape != queries.shape or out.dtype != queries.dtype):
        raise ValueError(f"out is {out.dtype} {list(out.shape)}, and must be as the queries: {queries.dtype} {list(queries.shape)}")
    if any(x.stride(-1) != 1 for x in (queries, key_cache, value_cache, block_tables, seq_lens, *(() if out is None else (out,))) if x.numel()):
        raise ValueError("the last dimension of queries, caches, block tables, lengths and out must be contiguous")


@triton.jit
def _attend(queries, key_cache, value_cache, block_tables, items, begin, out, partial, states, k_scale, v_scale, scale,
            q_row, q_head, k_block, k_token, k_head, v_block, v_token, v_head, table_row, out_row, out_head,
            GROUP: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr, BLOCK_SIZE: tl.constexpr, TILE: tl.constexpr):
    """One share for one KV head: item by item, an online softmax over its tokens, a tile at a time."""
    await_the_kernel_before(ALLOW=False)    # the merge would only be in the way: with 64 requests of 4,096 tokens, 385 µs instead of 363
    kv_head, program = tl.program_id(0), tl.program_id(1)
    row, column = tl.arange(0, ROWS), tl.arange(0, PADDED_D)
    head = kv_head * GROUP + row
    is_head = (row[:, None] < GROUP) & (column < D)[None, :]
    key_cache += kv_head.to(tl.int64) * k_head
    value_cache += kv_head.to(tl.int64) * v_head
    if k_scale is not None:
        scale *= tl.load(k_scale)
    for item in range(tl.load(begin + program), tl.load(begin + program + 1)):
        request = tl.load(items + item * 4)
        start, stop = tl.load(items + item * 4 + 1), tl.load(items + item * 4 + 2)
        q = tl.load(queries + request.to(tl.int64) * q_row + head[:, None] * q_head + column[None, :], mask=is_head, other=0.0)
        table = block_tables + request.to(tl.int64) * table_row
        highest = tl.full([ROWS], float("-inf"), tl.float32)    # of the scores
        total = tl.zeros([ROWS], tl.float32)
        acc = tl.zeros([ROWS, PADDED_D], tl.float32)
        for at in tl.range(start, stop, TILE):
            token = at + tl.arange(0, TILE)
            block = tl.load(table + token // BLOCK_SIZE, mask=token < stop, other=0).to(tl.int64)
            there = (token < stop)[:, None]
            if PADDED_D != D:
                there = there & (column < D)[None, :]
            offset = token % BLOCK_SIZE
            k = tl.load(key_cache + (block * k_block + offset * k_token)[:, None] + column[None, :], mask=there, other=0.0).to(q.dtype)
            v = tl.load(value_cache + (block * v_block + offset * v_token)[:, None] + column[None, :], mask=there, other=0.0).to(q.dtype)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee")
            scores = tl.where((token < stop)[None, :], scores, float("-inf"))
            new_highest = tl.maximum(highest, tl.max(scores, 1))
            weight = tl.exp2((scores - new_highest[:, None]) * scale)   # neighbours subtract without an error, their multiples would not
            shrink = tl.exp2((highest - new_highest) * scale)
            total = total * shrink + tl.sum(weight, 1)
            if q.dtype == tl.float32:   # sums of a tile's own first, or thousands of roundings would add up. `fma`, or the compiler would make one sum of both
                acc = tl.fma(acc, tl.broadcast_to(shrink[:, None], acc.shape), tl.dot(weight, v, input_precision="ieee"))
            else:
                acc = tl.dot(weight.to(q.dtype), v, acc * shrink[:, None])
            highest = new_highest

        acc /= total[:, None]
        if v_scale is not None:
            acc *= tl.load(v_scale)
        if tl.load(items + item * 4 + 3) != 0:
            tl.store(out + request.to(tl.int64) * out_row + head[:, None] * out_head + column[None, :], acc.to(out.dtype.element_ty), mask=is_head)
        else:
            place = (item * tl.num_programs(0) * GROUP + head).to(tl.int64)
            tl.store(partial + place[:, None] * D + column[None, :], acc, mask=is_head)
            tl.store(states + place * 2, highest, mask=row < GROUP)     # not as one logarithm: the sum of a large and a small number loses the small one
            tl.store(states + place * 2 + 1, total, mask=row < GROUP)


@triton.jit
def _merge(partial, states, first, out, k_scale, scale, out_row, out_head, num_heads, HEADS: tl.constexpr, D: tl.constexpr, PADDED_D: tl.constexpr,
           SPLITS: tl.constexpr):
    """Weigh the partial results of one request by what their weights add up to, for some of its heads."""
    await_the_kernel_before()
    request = tl.program_id(0)
    start, stop = tl.load(first + request), tl.load(first + request + 1)
    if stop - start == 1:
        return      # is in `out` already
    if k_scale is not None:
        scale *= tl.load(k_scale)
    head, column = tl.program_id(1) * HEADS + tl.arange(0, HEADS), tl.arange(0, PADDED_D)
    highest = tl.full([HEADS], float("-inf"), tl.float32)
    total = tl.zeros([HEADS], tl.float32)
    acc = tl.zeros([HEADS, PADDED_D], tl.float32)
    for begin in tl.range(start, stop, SPLITS):
        item = begin + tl.arange(0, SPLITS)
        place = item.to(tl.int64)[None, :] * num_heads + head[:, None]
        there = (item < stop)[None, :]
        its_highest = tl.load(states + place * 2, mask=there, other=float("-inf"))
        new_highest = tl.maximum(highest, tl.max(its_highest, 1))
        weight = tl.exp2((its_highest - new_highest[:, None]) * scale) * tl.load(states + place * 2 + 1, mask=there, other=0.0)
        shrink = tl.exp2((highest - new_highest) * scale)
        part = tl.load(partial + place[:, :, None] * D + column[None, None, :], mask=there[:, :, None] & (column < D)[None, None, :], other=0.0)
        acc = acc * shrink[:, None] + tl.sum(part * weight[:, :, None], 1)
        total = total * shrink + tl.sum(weight, 1)
        highest = new_highest
    result = acc / tl.maximum(total, 1e-30)[:, None]    # of nothing: 0
    tl.store(out + request.to(tl.int64) * out_row + head[:, None] * out_head + column[None, :], result.to(out.dtype.element_ty), mask=(column < D)[None, :])


@cache
def _num_sms(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 4


def bytes_min(seq_lens: list[int], num_heads: int, num_kv_heads: int, head_dim: int, element: int = 2, cache_element: int = 2) -> int:
    """Each key and value once; queries in, results out. `element`, `cache_element`: bytes of a number."""
    return 2 * sum(seq_lens) * num_kv_heads * head_dim * cache_element + 2 * len(seq_lens) * num_heads * head_dim * element


def flops(seq_lens: list[int], num_heads: int, head_dim: int) -> int:
    """Two products of a multiplication and an addition per token, head and dimension."""
    return 4 * sum(seq_lens) * num_heads * head_dim
