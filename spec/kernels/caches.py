"""Random paged caches, as hostile as an engine's may be.

Blocks lie in any order; whatever no request has written is NaN; block tables go on behind a
request's last block; all memory that may lie between the numbers of a tensor is watched.
"""
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from spec.kernels.exactness import DEVICE, assert_as_exact_as_torch, poisoned

HOPELESS = 2**31 - 1    # an index of nothing
# Where a kernel's tiles, an engine's blocks and a plan's pieces begin and end, or may.
BORDERS = [0, 1, 2, 15, 16, 17, 31, 33, 47, 48, 63, 64, 65, 127, 128, 129, 255, 256, 257]
# (head_dim, query heads per KV head, block size): each number of each kind, and odd ones with odd ones. On a GPU, each is compiled anew.
GEOMETRIES = [(128, 4, 16), (64, 1, 16), (80, 5, 48), (96, 3, 32), (32, 8, 64), (40, 7, 16), (16, 2, 128), (8, 6, 32), (128, 8, 128), (64, 7, 48)]
# How keys and values may lie in memory: [blocks, block size, KV heads, D] is always a view of it.
LAYOUTS = {
    "apart": None,                              # two tensors
    "behind one another": (0, 1, 2, 3, 4),      # [2, blocks, block size, KV heads, D]
    "in a block": (1, 0, 2, 3, 4),              # [blocks, 2, block size, KV heads, D]
    "in a slot": (1, 2, 0, 3, 4),               # [blocks, block size, 2, KV heads, D]
    "in a head": (1, 2, 3, 0, 4),               # [blocks, block size, KV heads, 2, D], as vLLM likes it best
    "heads before tokens": (1, 0, 3, 2, 4),     # [blocks, 2, KV heads, block size, D]
    "heads first": (3, 1, 0, 2, 4),             # [KV heads, blocks, 2, block size, D]
}


def examples(on_cpu: int, on_gpu: int) -> settings:
    """So many random cases: the interpreter takes a fifth of a second for each, a GPU nothing once it is compiled.

    Hence, one that fails is made smaller on a GPU alone; they are small enough.
    """
    phases = (Phase.explicit, Phase.reuse, Phase.generate, *(() if DEVICE == "cpu" else (Phase.shrink,)))
    return settings(max_examples=on_cpu if DEVICE == "cpu" else on_gpu, phases=phases, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class Paged:
    """A cache with requests in it, and what of it each has written: `keys[i]`, `values[i]` [length, KV heads, D]."""

    key_cache: torch.Tensor
    value_cache: torch.Tensor
    block_tables: torch.Tensor
    seq_lens: torch.Tensor
    keys: list[torch.Tensor]
    values: list[torch.Tensor]

    @property
    def arguments(self) -> tuple[torch.Tensor, ...]:
        return self.key_cache, self.value_cache, self.block_tables, self.seq_lens


def empty_cache(num_blocks: int, block_size: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, layout: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values, each [blocks, block size, KV heads, D], of NaN."""
    shape, order = (2, num_blocks, block_size, num_kv_heads, head_dim), LAYOUTS[layout]
    if order is None:
        return poisoned(*shape[1:], dtype=dtype), poisoned(*shape[1:], dtype=dtype)
    return poisoned(*(shape[i] for i in order), dtype=dtype).permute([order.index(i) for i in range(5)]).unbind()


def paged(lengths: list[int], num_kv_heads: int, head_dim: int, block_size: int, dtype: torch.dtype, layout: str = "in a slot", seed: int = 0, *,
          unused: float = float("nan"), behind: int | None = None, more_blocks: int = 2) -> Paged:
    """Requests of these lengths. `unused`: what is in slots that nobody has written; `behind`: what a block table
    says after a request's last block (a block that nobody has, unless told), in `more_blocks` columns more than the longest needs.
    """
    generator = torch.Generator().manual_seed(seed)
    needed = [-(-length // block_size) for length in lengths]
    ids = torch.randperm(sum(needed) + 2, generator=generator).tolist()
    nobodys = ids.pop()
    key_cache, value_cache = empty_cache(sum(needed) + 2, block_size, num_kv_heads, head_dim, dtype, layout)
    key_cache[:], value_cache[:] = unused, unused
    tables = torch.full((len(lengths), max(needed, default=0) + more_blocks), nobodys if behind is None else behind, dtype=torch.int32)
    for row, count in enumerate(needed):
        tables[row, :count] = torch.tensor([ids.pop() for _ in range(count)], dtype=torch.int32)
    keys, values = ([torch.randn(length, num_kv_heads, head_dim, generator=generator).to(DEVICE, dtype) for length in lengths] for _ in range(2))
    requests = Paged(key_cache, value_cache, tables.to(DEVICE), torch.tensor(lengths, dtype=torch.int32, device=DEVICE), keys, values)
    write(requests)
    return requests


def write(requests: Paged) -> None:
    """Puts `keys` and `values` where the block tables say. Assigns to them first, if they should be others."""
    block_size = requests.key_cache.shape[1]
    for row, (keys, values) in enumerate(zip(requests.keys, requests.values)):
        token = torch.arange(len(keys), device=DEVICE)
        block, offset = requests.block_tables[row, token // block_size].long(), token % block_size
        requests.key_cache[block, offset], requests.value_cache[block, offset] = keys.to(requests.key_cache.dtype), values.to(requests.value_cache.dtype)


def far_end(requests: Paged, layout: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The same cache as the last blocks of one so large that no int32 counts its numbers. Memory is only spoken for where nothing is written."""
    used, block_size, num_kv_heads, head_dim = requests.key_cache.shape
    num_blocks = 2**30 // (block_size * head_dim * (2 if layout == "heads first" else 1))     # the former's heads lie 2**30 numbers apart
    shape, order = (2, num_blocks, block_size, num_kv_heads, head_dim), LAYOUTS[layout]
    lies = torch.empty([shape[i] for i in order], dtype=requests.key_cache.dtype, device=DEVICE)
    caches = lies.permute([order.index(i) for i in range(5)]).unbind()
    for far, near in zip(caches, (requests.key_cache, requests.value_cache)):
        far[-used:] = near
        assert far[-1, 0, -1].storage_offset() >= 2**31
    return caches


def qkv_queries(num_tokens: int, num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, seed: int = 0, padding: int = 0) -> torch.Tensor:
    """Queries [tokens, heads, D] as they lie in a row of a model's qkv; what else is there is NaN, and so are the last `padding` rows."""
    qkv = poisoned(num_tokens, (num_heads + 2 * num_kv_heads) * head_dim, dtype=dtype)
    queries = qkv[:, :num_heads * head_dim].unflatten(-1, (num_heads, head_dim))
    used = num_tokens - padding
    queries[:used] = torch.randn(used, num_heads, head_dim, generator=torch.Generator().manual_seed(seed + 1)).to(DEVICE, dtype)
    return queries


def memory(tensor: torch.Tensor) -> torch.Tensor:
    """All bytes of the memory that a tensor is a view of."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


@contextmanager
def untouched(*tensors: torch.Tensor) -> Iterator[None]:
    """Fails if what is done within changes a bit of these, or of the memory that they are views of."""
    before = [memory(tensor).clone() for tensor in tensors]
    yield
    for number, (tensor, was) in enumerate(zip(tensors, before)):
        changed = int((memory(tensor) != was).sum())
        assert not changed, f"input {number}, {tensor.dtype} {list(tensor.shape)}: {changed} bytes of its memory have changed"


def dense_attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float | None = None) -> torch.Tensor:
    """torch's own attention, in float64: the last tokens of a request, [new tokens, heads, D], against all of it, [tokens, KV heads, D]."""
    q, k, v = (x.double().transpose(0, 1) for x in (queries, keys, values))
    seen = torch.ones(len(queries), len(keys), dtype=torch.bool, device=keys.device).tril(len(keys) - len(queries))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale, enable_gqa=True).transpose(0, 1)


def largest_score(queries: torch.Tensor, requests: Paged, scale: float | None = None) -> float:
    """No score is larger, and no sum on the way to one: the longest query times the longest key. Rows of NaN are padding."""
    longest_query, longest_key = (max((each.double().norm(dim=-1).nan_to_num().max().item() for each in rows if each.numel()), default=0.0)
                                  for rows in ([queries], requests.keys))
    return longest_query * longest_key * (queries.shape[-1] ** -0.5 if scale is None else scale)


def assert_each_as_exact_as_torch(groups, found: torch.Tensor, torchs: torch.Tensor, exact: torch.Tensor, exponent: float) -> None:
    """The rule, with each group of rows made as large as the others (by a power of two, which rounds nothing): a request
    with many tokens has small results, whose errors another's must not hide.
    """
    assert found.shape == torchs.shape == exact.shape
    levelled = [], [], []
    for rows in groups:
        if exact[rows].any():
            factor = 2.0 ** -exact[rows].abs().max().log2().floor().item()
            for all_of_it, each in zip(levelled, (found, torchs, exact)):
                all_of_it.append(each[rows] * factor)
        else:
            assert torch.equal(found[rows], exact[rows].to(found.dtype)), "not 0, where all is 0"
    if levelled[0]:
        assert_as_exact_as_torch(*(torch.cat(each) for each in levelled), exponent)


@st.composite
def lengths(draw, block_size: int, most_requests: int = 5, most_tokens: int | None = None) -> list[int]:
    """How long requests are: at borders, around full blocks, or anything. On the CPU, no more tokens in all than it bears."""
    most_tokens = most_tokens or (300 if DEVICE == "cpu" else 20_000)
    near_a_block = st.tuples(st.integers(1, 4), st.integers(-1, 1)).map(lambda drawn: drawn[0] * block_size + drawn[1])
    anything = st.integers(0, 130 if DEVICE == "cpu" else 5000)
    drawn = draw(st.lists(st.one_of(st.sampled_from(BORDERS), near_a_block, anything), max_size=most_requests))
    while sum(drawn) > most_tokens:
        drawn.remove(max(drawn))
    return drawn
