"""Norm, rotary positions and cache write in one: as exact as torch step by step, touching nothing else, and as vLLM's kernels in a row."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.cache_write import as_integers
from kernels.qk_norm_rope_cache import bytes_min, flops, qk_norm_rope_cache, qk_norm_rope_cache_twin
from reference import vllm_kernels
from spec.kernels.caches import LAYOUTS, empty_cache, examples, memory, untouched
from spec.kernels.exactness import DEVICE, DTYPES, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned

EPS, MAX_POSITION = 1e-5, 50
FLOAT8 = torch.float8_e4m3fn
# (query heads, KV heads, head_dim, block size): on a GPU, each is compiled anew.
SHAPES = [(32, 8, 128, 16), (4, 1, 64, 16), (5, 5, 80, 48), (3, 2, 6, 1), (14, 2, 32, 32)]


class Case:
    """Random arguments. `weights`: whose heads are normed, of "q" and "k". `cached`: the dtype of the caches."""

    def __init__(self, tokens: int, shape: tuple[int, int, int, int], dtype: torch.dtype, weights: str = "qk", layout: str = "in a slot",
                 values_layout: str | None = None, padding: bool = True, cached: torch.dtype | None = None):
        self.num_heads, self.num_kv_heads, head_dim, block_size = shape
        num_blocks, width = tokens // block_size + 2, self.num_heads + 2 * self.num_kv_heads
        self.qkv = poisoned(tokens, width * head_dim + 16, dtype=dtype)[:, :width * head_dim]
        self.positions, self.slots = torch.empty(tokens, dtype=torch.int64, device=DEVICE), torch.empty(tokens, dtype=torch.int64, device=DEVICE)
        self.weights = {name: torch.randn(head_dim, device=DEVICE).to(dtype) if name in weights else None for name in "qk"}
        angles = torch.outer(torch.arange(MAX_POSITION), 100.0 ** -torch.linspace(0, 1, head_dim // 2))
        self.cos_sin = torch.cat((angles.cos(), angles.sin()), dim=-1).to(DEVICE, dtype)
        self.caches = [cache.to(cached or dtype) for cache in empty_cache(num_blocks, block_size, self.num_kv_heads, head_dim, dtype, layout)]
        if values_layout:   # values in a memory of their own, and in their own strides
            self.caches[1] = empty_cache(num_blocks, block_size, self.num_kv_heads, head_dim, dtype, values_layout)[1]
        self.scales = [torch.tensor(each, device=DEVICE) for each in (0.37, 1.9)] if cached else [None, None]
        self.draw(padding)

    def draw(self, padding: bool = True) -> None:
        """Other numbers, in the same memory."""
        self.qkv.copy_(torch.randn(self.qkv.shape))
        self.positions.copy_(torch.randint(MAX_POSITION, self.positions.shape))
        slots = torch.randperm(self.caches[0].shape[0] * self.caches[0].shape[1])[:len(self.slots)]
        self.slots.copy_(torch.where(torch.rand(slots.shape) < 0.3, -1, slots) if padding else slots)

    def call(self, function, *more, wide: bool = False, **named):
        """`function` with these arguments, with `wide` in float64."""
        numbers = [self.qkv, self.weights["q"], self.weights["k"], self.cos_sin, *self.caches]
        if wide:
            numbers = [each if each is None else each.float().double() for each in numbers]
        qkv, q_weight, k_weight, cos_sin, *caches = numbers
        scales = [] if wide else self.scales
        return function(qkv, q_weight, k_weight, EPS, self.positions, cos_sin, *caches, self.slots, self.num_heads, self.num_kv_heads,
                        *scales, *more, **named)

    def filled(self, caches) -> list[torch.Tensor]:
        """What is in the slots of those who are not padding: keys and values."""
        slots, block_size = self.slots[self.slots >= 0], self.caches[0].shape[1]
        if caches[0].dtype != FLOAT8:
            return [cache[slots // block_size, slots % block_size] for cache in caches]
        return [as_integers(cache)[slots // block_size, slots % block_size].view(FLOAT8).float() * scale for cache, scale in zip(caches, self.scales)]


def check(case: Case, launch=qk_norm_rope_cache) -> None:
    """`launch` returns queries and fills slots, as exactly as torch, and leaves all other memory as it was."""
    torchs, exact = case.call(qk_norm_rope_cache_twin), case.call(qk_norm_rope_cache_twin, wide=True)
    before = [memory(cache).clone() for cache in case.caches]
    with untouched(case.qkv, case.positions, case.cos_sin, case.slots):
        queries = case.call(launch)
    assert_as_exact_as_torch(queries, torchs[0], exact[0])
    keys, values = case.filled(case.caches)
    exact_keys, _ = case.filled(exact[1:])
    torchs_keys, torchs_values = case.filled(torchs[1:])
    assert_as_exact_as_torch(keys, torchs_keys, exact_keys)
    assert torch.equal(values, torchs_values)
    for cache, kept in zip(case.caches, before):    # with the slots as they were before, nothing has changed
        slots, block_size = case.slots[case.slots >= 0], cache.shape[1]
        old = torch.empty(0, dtype=cache.dtype, device=DEVICE).set_(kept.untyped_storage(), cache.storage_offset(), cache.shape, cache.stride())
        as_integers(cache)[slots // block_size, slots % block_size] = as_integers(old)[slots // block_size, slots % block_size]
    for cache, kept in zip(case.caches, before):
        assert torch.equal(memory(cache), kept), "written outside of the slots"


@each_dtype
@examples(on_cpu=15, on_gpu=60)
@given(tokens=st.integers(0, 5), shape=st.sampled_from(SHAPES), weights=st.sampled_from(["qk", "", "q", "k"]),
       layout=st.sampled_from(sorted(LAYOUTS)), values_layout=st.none() | st.sampled_from(sorted(LAYOUTS)), seed=st.integers(0, 2**31))
def test_as_exact_as_torch_step_by_step_and_nothing_else_is_touched(dtype, tokens, shape, weights, layout, values_layout, seed):
    torch.manual_seed(seed)
    check(Case(tokens, shape, dtype, weights, layout, values_layout))


def test_values_need_not_lie_as_keys_do():
    check(Case(20, SHAPES[1], torch.float32, layout="in a slot", values_layout="heads before tokens"))


def test_queries_go_where_they_are_wanted():
    case = Case(3, SHAPES[3], torch.float32)
    around = poisoned(3, 5, 10)
    out = around[:, 1:4, 2:8]
    expected = case.call(qk_norm_rope_cache)
    assert case.call(qk_norm_rope_cache, out=out) is out
    assert torch.equal(out, expected) and around.isnan().sum() == around.numel() - out.numel()


@pytest.mark.parametrize("num_warps", [1, 2, 8])
def test_how_the_work_is_cut_up_is_nobodys_business(num_warps):
    check(Case(2, SHAPES[4], torch.float32), lambda *arguments: qk_norm_rope_cache(*arguments, num_warps=num_warps))


@needs_gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_8_bit_cache(dtype, shape):
    check(Case(33, shape, dtype, cached=FLOAT8))


@pytest.mark.parametrize("changed, says", [
    (dict(qkv=torch.zeros(3, 41)), "5 heads|give .tokens, 10 . D."),
    (dict(qkv=torch.zeros(40, 3).T), "contiguous"),
    (dict(num_heads=0), "0 heads"),
    (dict(q_weight=torch.zeros(5)), "a weight"),
    (dict(k_weight=torch.zeros(4).half()), "a weight"),
    (dict(positions=torch.zeros(3, dtype=torch.int32)), "positions"),
    (dict(cos_sin=torch.zeros(9, 6)), "cos_sin"),
    (dict(slot_mapping=torch.zeros(4, dtype=torch.int64)), "slot_mapping"),
    (dict(key_cache=torch.zeros(2, 4, 2, 6), value_cache=torch.zeros(2, 4, 2, 6)), "caches"),
    (dict(out=torch.zeros(3, 6, 6)), "out is"),
    (dict(k_scale=torch.ones(1)), "None for everything else"),
])
def test_what_it_cannot_do_it_says(changed, says):
    arguments = dict(qkv=torch.zeros(3, 40), q_weight=torch.zeros(4), k_weight=None, eps=EPS, positions=torch.zeros(3, dtype=torch.int64),
                     cos_sin=torch.zeros(9, 4), key_cache=torch.zeros(2, 4, 2, 4), value_cache=torch.zeros(2, 4, 2, 4), slot_mapping=torch.arange(3),
                     num_heads=6, num_kv_heads=2) | changed
    with pytest.raises(ValueError, match=says):
        qk_norm_rope_cache(**arguments)


def test_the_bytes_that_must_move_are_those_of_the_tensors():
    qkv, queries, keys, angles = (torch.zeros(shape, dtype=torch.float16) for shape in ((7, 10 * 8), (7, 6, 8), (7, 2, 8), (7, 8)))
    assert bytes_min(7, 6, 2, 8, torch.float16) == qkv.nbytes + queries.nbytes + 2 * keys.nbytes + angles.nbytes + 7 * (8 + 8)
    assert bytes_min(7, 6, 2, 8, torch.float16, FLOAT8) == bytes_min(7, 6, 2, 8, torch.float16) - keys.nbytes
    assert flops(7, 6, 2, 8) == 7 * (queries.numel() + keys.numel())


@needs_gpu
@each_dtype
def test_in_a_cuda_graph(dtype):
    """Of a padded batch: which rows are padding changes from step to step."""
    case = Case(33, SHAPES[0], dtype)
    out = poisoned(33, 32, 128, dtype=dtype)
    graph = captured(lambda: case.call(qk_norm_rope_cache, out=out))
    for cache in case.caches:
        cache.fill_(float("nan"))
    case.draw()

    def launch(*_) -> torch.Tensor:
        graph.replay()
        return out
    check(case, launch)


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_slots_beyond_two_to_the_31():
    case = Case(3, SHAPES[0], torch.bfloat16, padding=False)
    small = case.caches
    check(case)
    num_blocks = 2**31 // (16 * 2 * 8 * 128) + 9
    expected = case.filled(case.call(qk_norm_rope_cache_twin)[1:])
    case.caches = torch.empty(num_blocks, 16, 2, 8, 128, dtype=torch.bfloat16, device=DEVICE).unbind(2)
    case.slots += (num_blocks - len(small[0])) * 16
    case.call(qk_norm_rope_cache)
    keys, values = case.filled(case.caches)
    torch.testing.assert_close(keys, expected[0], rtol=0.02, atol=0.05)
    assert torch.equal(values, expected[1])


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("weights, theirs", [("qk", vllm_kernels.qk_norm_rope_cache), ("qk", vllm_kernels.fused_qk_norm_rope_cache),
                                             ("", vllm_kernels.qk_norm_rope_cache)], ids=["four kernels", "two kernels", "two kernels, no norm"])
def test_as_exact_as_vllms(dtype, weights, theirs):
    torch.manual_seed(0)
    case = Case(257, SHAPES[0], dtype, weights, padding=False)
    exact = case.call(qk_norm_rope_cache_twin, wide=True)
    queries = case.call(qk_norm_rope_cache)
    keys, values = case.filled(case.caches)
    for cache in case.caches:
        cache.fill_(float("nan"))
    case.qkv = case.qkv.contiguous()    # theirs may work in it
    their_queries = case.call(theirs)
    their_keys, their_values = case.filled(case.caches)
    assert_as_exact_as_torch(queries, their_queries, exact[0])
    assert_as_exact_as_torch(keys, their_keys, case.filled(exact[1:])[0])
    assert torch.equal(values, their_values)
