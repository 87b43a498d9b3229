"""Rotary positions: as exact as torch, in place and in no other place, and as vLLM's."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.rope import bytes_min, flops, rope, rope_twin
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, DTYPES, assert_as_exact_as_torch, captured, each_dtype, needs_gpu

MAX_POSITION = 50
# (query heads, KV heads, head_dim): on a GPU, each is compiled anew.
HEADS = [(32, 8, 128), (8, 1, 64), (9, 3, 2), (1, 1, 16), (14, 2, 34), (5, 5, 80), (3, 7, 40)]


def table(head_dim: int, dtype: torch.dtype, max_position: int = MAX_POSITION) -> torch.Tensor:
    """Cosines and sines of position i times an angle of each pair's own."""
    angles = torch.outer(torch.arange(max_position, dtype=torch.float64), 100.0 ** -torch.linspace(0, 1, head_dim // 2, dtype=torch.float64))
    return torch.cat((angles.cos(), angles.sin()), dim=-1).to(DEVICE, dtype)


def double(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [each.double() if each.is_floating_point() else each for each in tensors]


def test_the_twin_turns_pairs_as_complex_numbers():
    x, cos_sin = torch.randn(4, 3, 10, dtype=torch.float64, device=DEVICE), table(10, torch.float64)
    positions = torch.tensor([7, 0, 49, 7], device=DEVICE)
    pairs, angles = torch.complex(*x.chunk(2, dim=-1)), torch.complex(*cos_sin.chunk(2, dim=-1))
    expected = pairs * angles[positions][:, None]
    for turned in rope_twin(x, x, positions, cos_sin):
        torch.testing.assert_close(turned, torch.cat((expected.real, expected.imag), dim=-1))


@each_dtype
@examples(on_cpu=15, on_gpu=100)
@given(tokens=st.integers(0, 5), geometry=st.sampled_from(HEADS), wide_table=st.booleans(), seed=st.integers(0, 2**31))
def test_heads_are_turned_in_place_as_exactly_as_by_torch_and_nothing_else_is(dtype, tokens, geometry, wide_table, seed):
    torch.manual_seed(seed)
    num_heads, num_kv_heads, head_dim = geometry
    # On either side of queries and keys a head that is nobody's: real numbers, that would not stay the same if they were turned.
    heads = torch.randn(tokens + 2, num_heads + num_kv_heads + 3, head_dim).to(DEVICE, dtype)
    queries, keys = heads[1:-1, 1:1 + num_heads], heads[1:-1, 2 + num_heads:-1]
    before = heads.clone()
    positions, cos_sin = torch.randint(MAX_POSITION, (tokens,), device=DEVICE), table(head_dim, torch.float32 if wide_table else dtype)
    expected, exact = rope_twin(queries, keys, positions, cos_sin), rope_twin(*double(queries, keys, positions, cos_sin))
    rope(queries, keys, positions, cos_sin)
    assert_as_exact_as_torch(queries, expected[0], exact[0])
    assert_as_exact_as_torch(keys, expected[1], exact[1])
    for each in (heads, before):
        each[1:-1, 1:1 + num_heads] = each[1:-1, 2 + num_heads:-1] = 0
    assert torch.equal(heads, before), "written outside of the queries and keys"


@each_dtype
def test_position_0_changes_no_bit(dtype):
    queries, keys = torch.randn(3, 4, 16, device=DEVICE).to(dtype), torch.randn(3, 2, 16, device=DEVICE).to(dtype)
    before = queries.clone(), keys.clone()
    rope(queries, keys, torch.zeros(3, dtype=torch.int64, device=DEVICE), table(16, dtype))
    assert torch.equal(queries, before[0]) and torch.equal(keys, before[1])


def heads(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


@pytest.mark.parametrize("changed, says", [
    (dict(positions=torch.zeros(2, dtype=torch.int32)), "int64"),
    (dict(positions=torch.zeros(3, dtype=torch.int64)), "positions"),
    (dict(cos_sin=heads(10, 6)), "columns"),
    (dict(cos_sin=heads(8, 10).T), "neighbours"),
    (dict(cos_sin=heads(10, 8).long()), "floats"),
    (dict(queries=heads(2, 3, 7), keys=heads(2, 1, 7), cos_sin=heads(10, 7)), "even"),
    (dict(queries=heads(2, 24)), "as many columns|tokens, heads, D"),
    (dict(keys=heads(3, 1, 8)), "same tokens"),
    (dict(keys=heads(2, 1, 8).half()), "float16"),
    (dict(queries=heads(2, 3, 16)[..., ::2]), "contiguous"),
])
def test_what_it_cannot_do_it_says(changed, says):
    arguments = dict(queries=heads(2, 3, 8), keys=heads(2, 1, 8), positions=torch.zeros(2, dtype=torch.int64), cos_sin=heads(10, 8)) | changed
    with pytest.raises(ValueError, match=says):
        rope(**arguments)


def test_the_bytes_that_must_move_are_those_of_the_tensors():
    queries, keys, positions, angles = (torch.zeros(shape, dtype=torch.float16) for shape in ((7, 6, 10), (7, 2, 10), (7,), (7, 10)))
    assert bytes_min(7, 6, 2, 10, torch.float16) == 2 * queries.nbytes + 2 * keys.nbytes + positions.long().nbytes + angles.nbytes
    assert bytes_min(7, 6, 2, 10, torch.float16, torch.float32) - bytes_min(7, 6, 2, 10, torch.float16) == angles.nbytes
    assert flops(7, 6, 2, 10) == 3 * (queries.numel() + keys.numel())


@needs_gpu
@each_dtype
@pytest.mark.parametrize("num_warps", [None, 1, 4, 8])
def test_in_a_cuda_graph(dtype, num_warps):
    queries, keys = torch.randn(33, 32, 128, device=DEVICE).to(dtype), torch.randn(33, 8, 128, device=DEVICE).to(dtype)
    positions, cos_sin = torch.zeros(33, dtype=torch.int64, device=DEVICE), table(128, dtype, 1000)
    graph = captured(lambda: rope(queries, keys, positions, cos_sin, num_warps=num_warps))
    queries.normal_(), keys.normal_(), positions.random_(1000)
    expected, exact = rope_twin(queries, keys, positions, cos_sin), rope_twin(*double(queries, keys, positions, cos_sin))
    graph.replay()
    assert_as_exact_as_torch(queries, expected[0], exact[0])
    assert_as_exact_as_torch(keys, expected[1], exact[1])


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_tokens_and_positions_beyond_two_to_the_31():
    stride = 3 * 2**29      # the third token begins at 3 * 2**30
    queries, keys = (torch.empty(2 * stride + 8 * 128, dtype=torch.bfloat16, device=DEVICE).as_strided((3, heads, 128), (stride, 128, 1)).normal_()
                     for heads in (8, 2))
    cos_sin = torch.empty(2**31 // 128 + 10, 128, dtype=torch.bfloat16, device=DEVICE)
    positions = torch.tensor([1, len(cos_sin) - 1, len(cos_sin) - 7], device=DEVICE)
    cos_sin[positions] = table(128, torch.bfloat16)[[3, 30, 49]]
    expected = rope_twin(queries, keys, positions, cos_sin)
    exact = rope_twin(*double(queries, keys), torch.arange(3, device=DEVICE), cos_sin[positions].double())
    rope(queries, keys, positions, cos_sin)
    assert_as_exact_as_torch(queries, expected[0], exact[0])
    assert_as_exact_as_torch(keys, expected[1], exact[1])


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("tokens, num_heads, num_kv_heads, head_dim", [(1, 32, 8, 128), (257, 16, 8, 128), (64, 14, 2, 64), (19, 40, 8, 80)])
def test_as_exact_as_vllms(dtype, tokens, num_heads, num_kv_heads, head_dim):
    queries, keys = (torch.randn(tokens, each, head_dim, device=DEVICE).to(dtype) for each in (num_heads, num_kv_heads))
    positions, cos_sin = torch.randint(1000, (tokens,), device=DEVICE), table(head_dim, dtype, 1000)
    exact = rope_twin(*double(queries, keys, positions, cos_sin))
    theirs = queries.clone(), keys.clone()
    vllm_kernels.rope(*theirs, positions, cos_sin)
    rope(queries, keys, positions, cos_sin)
    assert_as_exact_as_torch(queries, theirs[0], exact[0])
    assert_as_exact_as_torch(keys, theirs[1], exact[1])
