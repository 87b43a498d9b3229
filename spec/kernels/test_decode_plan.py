"""The plan of decode attention: who computes which tokens of which request."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import example, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kernels import decode_attention as module  # noqa: E402
from kernels.decode_attention import Plan, make_plan  # noqa: E402
from spec.kernels.caches import BORDERS, examples  # noqa: E402
from spec.kernels.exactness import DEVICE  # noqa: E402


def holds(its_lengths: list[int], made: Plan) -> None:
    """What a plan promises: each token of each request once, in order, in pieces that are not empty, each in one program, all of which have
    equally much to do; all others are nobody's."""
    items, first, begin = made.items.tolist(), made.first.tolist(), made.begin.tolist()
    assert made.items.dtype == made.first.dtype == made.begin.dtype == torch.int32 and made.items.shape[1] == 4
    assert len(first) == len(its_lengths) + 1 and first[0] == 0 and first[-1] <= len(items)
    for request, length in enumerate(its_lengths):
        mine = items[first[request]:first[request + 1]]
        assert all(item[0] == request and item[1] < item[2] for item in mine), f"request {request}, {length} tokens: {mine}"
        edges = [0, *(item[2] for item in mine)]
        assert [item[1] for item in mine] == edges[:-1] and edges[-1] == length, f"request {request}, {length} tokens: {mine}"
        assert [bool(item[3]) for item in mine] == [len(mine) == 1] * len(mine), f"request {request}: only pieces are merged, {mine}"
    assert begin[0] == 0 and begin == sorted(begin) and begin[-1] == first[-1], f"not each item is in one program: {begin}"
    shares = [sum(-(-(stop - start) // module.GRAIN) for _, start, stop, _ in items[one:next_one]) for one, next_one in zip(begin, begin[1:])]
    equal = max(-(-sum(shares) // len(shares)), module.SHORTEST_SHARE // module.GRAIN)
    full = sum(shares) // equal
    assert shares == [equal] * full + [sum(shares) - equal * full] * (full < len(shares)) + [0] * (len(shares) - full - 1), f"unequal shares: {shares}"


@given(its_lengths=st.lists(st.one_of(st.sampled_from(BORDERS), st.integers(0, 200_000)), max_size=5 if DEVICE == "cpu" else 300),
       num_kv_heads=st.sampled_from([1, 2, 5, 8, 1000]), programs_per_sm=st.integers(1, 2 if DEVICE == "cpu" else 16))
@example([200_000, 0, 0, 1], 1, 2)
@example([256, 257, 255, 512, 513], 1, 2)
@example([0, 0], 1, 1)
@examples(8, 300)
def test_a_plan_has_every_token_once(its_lengths, num_kv_heads, programs_per_sm):
    holds(its_lengths, make_plan(torch.tensor(its_lengths, dtype=torch.int32, device=DEVICE), num_kv_heads, programs_per_sm))


def test_a_plan_of_many_requests():
    generator = torch.Generator().manual_seed(0)
    its_lengths = [0 if index % 9 == 4 else int(200_000 * share ** 4) for index, share in enumerate(torch.rand(60 if DEVICE == "cpu" else 1000, generator=generator))]
    holds(its_lengths, make_plan(torch.tensor(its_lengths, dtype=torch.int32, device=DEVICE), 4, 1))


def test_a_plan_is_as_large_whatever_the_lengths():
    """Its size is a grid's, and a CUDA graph's grids are fixed."""
    sizes = {len(make_plan(torch.tensor(each, dtype=torch.int32, device=DEVICE), 4, 2).items) for each in ([0, 0, 0], [1, 1, 1], [200_000, 1, 3000])}
    assert len(sizes) == 1


def test_a_long_request_is_shared_out():
    """Alone, it keeps more than one program busy; among many short ones, no piece has more than about its share."""
    alone = make_plan(torch.tensor([100_000], dtype=torch.int32, device=DEVICE), 1, 2)
    wanted = len(alone.items) - 1
    assert wanted > 1 and alone.first.tolist()[1] >= wanted // 2
    longest = (alone.items[:, 2] - alone.items[:, 1]).max().item()
    assert longest <= 100_000 / wanted + module.GRAIN
