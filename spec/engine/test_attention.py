"""`write_kv` and `paged_attention` against attention written down plainly, in float64, for one request at a time.

How far they may be from it: twice as far as torch's own attention in the same precision (FlashAttention-3's rule),
plus the rounding of a few numbers of the size of the values.
"""
from importlib.util import find_spec

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="there is no torch here; 'make spec' installs it")
TINY = {"float32": 2e-6, "bfloat16": 2e-2, "float16": 2e-3}

shapes = st.fixed_dictionaries({
    "block_size": st.sampled_from([1, 2, 3, 16, 32]), "head_dim": st.sampled_from([8, 32, 64, 128]),
    "num_kv_heads": st.integers(1, 4), "group": st.sampled_from([1, 2, 3, 4, 8]), "seed": st.integers(0, 1 << 30),
    # Per request: new tokens after computed ones. Decodes, prefills and chunks of prefills, in any order.
    "shares": st.lists(st.one_of(st.tuples(st.just(1), st.integers(0, 70)), st.tuples(st.integers(1, 40), st.just(0)),
                                 st.tuples(st.integers(1, 20), st.integers(0, 50))), min_size=1, max_size=9)})


# More than go together in a group, and not in the order of their lengths.
CROWD = {"block_size": 4, "head_dim": 32, "num_kv_heads": 2, "group": 4, "seed": 1, "shares": [(1, 7 * index % 41) for index in range(40)] + [(9, 0), (5, 20)]}


class Case:
    """A cache of NaN, in which only the tokens of the requests are written; their blocks lie anywhere in it."""

    def __init__(self, dtype: str, block_size: int, head_dim: int, num_kv_heads: int, group: int, seed: int, shares: list[tuple[int, int]]):
        import numpy
        import torch

        from impl.attention import AttentionBatch
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype, self.num_kv_heads, self.head_dim = getattr(torch, dtype), num_kv_heads, head_dim
        self.lengths, self.num_new = [sum(share) for share in shares], [num_new for num_new, _ in shares]
        num_blocks = [-(-length // block_size) for length in self.lengths]
        ids = torch.randperm(sum(num_blocks) + 3, generator=self.generator).tolist()
        tables = numpy.full((len(shares), max(num_blocks)), ids.pop())      # beyond its end, a table names a block that is nobody's
        for row, count in zip(tables, num_blocks):
            row[:count] = [ids.pop() for _ in range(count)]
        self.batch = AttentionBatch.at(numpy.array(self.num_new), numpy.array([computed for _, computed in shares]), tables, block_size)
        self.slots = [torch.tensor([table[at // block_size] * block_size + at % block_size for at in range(length)])
                      for table, length in zip(tables, self.lengths)]
        self.cache = torch.full((sum(num_blocks) + 3, block_size, 2, num_kv_heads, head_dim), float("nan"), dtype=self.dtype)
        self.queries = [self.random(num_new, num_kv_heads * group) for num_new in self.num_new]
        self.keys, self.values = ([self.random(length, num_kv_heads) for length in self.lengths] for _ in "kv")
        for keys, values, slots, (_, computed) in zip(self.keys, self.values, self.slots, shares):
            for kind, what in enumerate((keys, values)):
                self.cache.flatten(0, 1)[slots[:computed], kind] = what[:computed]

    def random(self, *shape: int):
        import torch
        return torch.randn(*shape, self.head_dim, generator=self.generator).to(self.dtype)

    def write(self) -> None:
        import torch

        from impl.attention import write_kv
        new = [torch.cat([what[length - num_new:] for what, num_new, length in zip(kind, self.num_new, self.lengths)]) for kind in (self.keys, self.values)]
        write_kv(self.cache, *new, self.batch.slot_mapping)

    def dense(self, dtype):
        """Every request by itself: [tokens, heads, head_dim], with matrices of all scores, computed in `dtype`."""
        import torch
        found = []
        for queries, keys, values in zip(self.queries, self.keys, self.values):
            group = queries.shape[1] // self.num_kv_heads
            q, k, v = queries.to(dtype), keys.to(dtype).repeat_interleave(group, 1), values.to(dtype).repeat_interleave(group, 1)
            scores = torch.einsum("qhd,khd->hqk", q, k) / self.head_dim ** 0.5
            later = torch.arange(len(keys)) > torch.arange(len(keys) - len(queries), len(keys))[:, None]
            found.append(torch.einsum("hqk,khd->qhd", scores.masked_fill(later, float("-inf")).softmax(-1), v))
        return torch.cat(found)


@pytest.mark.parametrize("dtype", TINY)
@given(shape=shapes)
@example(shape=CROWD)
@settings(max_examples=60, deadline=None)
def test_paged_attention_is_attention(dtype, shape):
    import torch

    from impl.attention import paged_attention
    case = Case(dtype, **shape)
    case.write()
    found = paged_attention(torch.cat(case.queries), case.cache, case.batch)
    right, torchs = case.dense(torch.float64), case.dense(case.dtype)
    assert found.dtype == case.dtype and found.shape == right.shape
    error, allowed = (found.double() - right).abs().max(), 2 * (torchs.double() - right).abs().max() + TINY[dtype]
    assert error <= allowed, f"off by {error:.2e}, allowed are {allowed:.2e}; NaN: a slot was read that is not the request's own"


@pytest.mark.parametrize("dtype", TINY)
@given(shape=shapes)
@settings(max_examples=60, deadline=None)
def test_write_kv_writes_its_slots_and_no_other(dtype, shape):
    import torch
    case = Case(dtype, **shape)
    case.cache.view(torch.uint8).random_(generator=case.generator)
    before, bits = case.cache.clone(), torch.int32 if dtype == "float32" else torch.int16
    case.write()
    written = torch.zeros(before.flatten(0, 1).shape[0], dtype=torch.bool)
    for keys, values, slots, num_new, length in zip(case.keys, case.values, case.slots, case.num_new, case.lengths):
        slots, new = slots[length - num_new:], slice(length - num_new, None)
        written[slots] = True
        assert torch.equal(case.cache.flatten(0, 1)[slots, 0], keys[new]) and torch.equal(case.cache.flatten(0, 1)[slots, 1], values[new])
    untouched = [cache.flatten(0, 1)[~written].contiguous().view(bits) for cache in (before, case.cache)]
    assert torch.equal(*untouched)
