"""Cache write: every bit of a slot as it should be, every other bit as it was, and the same from vLLM's."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.cache_write import LARGEST, as_integers, bytes_min, write_cache, write_cache_twin
from reference import vllm_kernels
from spec.kernels.caches import LAYOUTS, empty_cache, examples, memory, untouched
from spec.kernels.exactness import DEVICE, DTYPES, captured, each_dtype, needs_gpu, poisoned

FLOAT8 = torch.float8_e4m3fn
# How keys lie, and how values do: in one memory if alike, or else in two, and no stride of one is the other's.
two_layouts = st.one_of(st.sampled_from(sorted(LAYOUTS)).map(lambda layout: (layout, layout)),
                        st.permutations(sorted(LAYOUTS)).map(lambda order: tuple(order[:2])))
# (KV heads, head_dim, block size): on a GPU, each is compiled anew.
SHAPES = [(8, 128, 16), (1, 64, 16), (3, 80, 48), (2, 5, 1), (5, 96, 32), (7, 2, 3)]
some_tokens = given(tokens=st.integers(0, 20), shape=st.sampled_from(SHAPES), layouts=two_layouts, seed=st.integers(0, 2**31))


def some_slots(tokens: int, num_blocks: int, block_size: int) -> torch.Tensor:
    """Different slots, in any order, and the first and the last among them if there is room; now and then padding."""
    slots = torch.randperm(num_blocks * block_size)[:tokens]
    for index, extreme in enumerate((0, num_blocks * block_size - 1)):
        if index < tokens and extreme not in slots:
            slots[index] = extreme
    slots[torch.rand(tokens) < 0.2] = -1
    slots[torch.rand(tokens) < 0.05] = -(2**40)
    return slots.to(DEVICE)


def empty_caches(make, layouts: tuple[str, str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values that `make` makes of a layout."""
    keys, values = make(layouts[0])
    return keys, values if layouts[0] == layouts[1] else make(layouts[1])[1]


def empty_8_bit_cache(num_blocks: int, block_size: int, num_kv_heads: int, head_dim: int, layout: str) -> list[torch.Tensor]:
    """As `empty_cache`, of NaN in eight bits: behind each head's numbers there are as many that are nobody's."""
    caches = [as_integers(cache).view(FLOAT8)[..., :head_dim] for cache in
              empty_cache(num_blocks, block_size, num_kv_heads, head_dim, torch.float16, layout)]
    for cache in caches:
        memory(cache).fill_(0xFF)
    return caches


def keys_and_values(tokens: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, scale: float = 1.0) -> list[torch.Tensor]:
    """In the midst of NaN, keys in other strides than values."""
    keys = poisoned(tokens, 2 + num_kv_heads, head_dim, dtype=dtype)[:, 2:]
    values = poisoned(tokens, num_kv_heads, head_dim + 16, dtype=dtype)[..., :head_dim]
    for each in (keys, values):
        each.copy_(torch.randn(each.shape) * scale)
    return [keys, values]


def assert_written(arguments: list, caches: tuple[torch.Tensor, torch.Tensor], *scales: torch.Tensor, write=write_cache) -> None:
    """`write` puts into the caches what one assignment after the other would, and leaves all other memory alone, between the slots too."""
    keys, values, slots = arguments
    expected = [memory(cache).clone() for cache in caches]
    wanted = [torch.empty(0, dtype=cache.dtype, device=DEVICE).set_(kept.untyped_storage(), cache.storage_offset(), cache.shape, cache.stride())
              for cache, kept in zip(caches, expected)]
    if memory(caches[0]).data_ptr() == memory(caches[1]).data_ptr():    # two views of one memory
        wanted[1].set_(expected[0].untyped_storage(), caches[1].storage_offset(), caches[1].shape, caches[1].stride())
        expected[1] = expected[0]
    for cache, written in zip(wanted, write_cache_twin(keys, values, *caches, slots, *scales)):
        as_integers(cache).copy_(as_integers(written))
    with untouched(*arguments):
        write(keys, values, *caches, slots, *scales)
    for name, cache, kept in zip(("keys", "values"), caches, expected):
        assert torch.equal(memory(cache), kept), f"{int((memory(cache) != kept).sum())} bytes differ in the memory of the cached {name}"


def test_the_twin_assigns_slot_by_slot():
    keys, values, slots = *keys_and_values(4, 2, 3, torch.float32), torch.tensor([5, -1, 0, 3], device=DEVICE)
    caches = empty_cache(2, 3, 2, 3, torch.float32, "in a slot")
    written = write_cache_twin(keys, values, *caches, slots)
    assert all(cache.isnan().all() for cache in caches)     # copies were written
    for cache, x in zip(written, (keys, values)):
        assert torch.equal(cache[1, 2], x[0]) and torch.equal(cache[0, 0], x[2]) and torch.equal(cache[1, 0], x[3])
        assert cache.isnan().sum() == 3 * 2 * 3


@each_dtype
@examples(on_cpu=25, on_gpu=150)
@some_tokens
def test_slots_get_their_tokens_bit_by_bit_and_nothing_else_is_touched(dtype, tokens, shape, layouts, seed):
    torch.manual_seed(seed)
    num_kv_heads, head_dim, block_size = shape
    num_blocks = tokens // block_size + 2
    caches = empty_caches(lambda layout: empty_cache(num_blocks, block_size, num_kv_heads, head_dim, dtype, layout), layouts)
    assert_written([*keys_and_values(tokens, num_kv_heads, head_dim, dtype), some_slots(tokens, num_blocks, block_size)], caches)


def as_float8(number: torch.Tensor) -> torch.Tensor:
    """0 to 126 as the positive numbers that float8_e4m3fn has, 128 to 254 as the negative ones."""
    return number.to(torch.uint8).view(FLOAT8).float()


# Triton's interpreter rounds to 8 bits wrongly, but does not get wrong what needs no rounding.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("k_scale, v_scale", [(None, None), (0.5, 4.0), (2.0, None)])
def test_8_bit_caches_hold_x_over_scale(dtype, k_scale, v_scale):
    """Every number that there is, 2 KV heads of 64 to a token, and what is too large becomes the largest."""
    k_scale, v_scale = (scale and torch.tensor([scale], device=DEVICE) for scale in (k_scale, v_scale))
    numbers = as_float8(torch.arange(256).where(torch.arange(256) % 128 != 127, 0).to(DEVICE)).view(2, 2, 64)
    too_large = torch.tensor([LARGEST + 1, -1e4], device=DEVICE)[None, :, None].expand(1, 2, 64)
    x = torch.cat((numbers, too_large))
    keys, values = ((x * (1.0 if scale is None else scale)).to(dtype) for scale in (k_scale, v_scale))
    slots = torch.tensor([7, 1, 4], device=DEVICE)
    caches = empty_8_bit_cache(3, 4, 2, 64, "in a slot")
    assert_written([keys, values, slots], caches, k_scale, v_scale)
    for cache in caches:
        assert torch.equal(cache[[1, 0], [3, 1]].float(), numbers)
        assert torch.equal(cache[1, 0].float(), torch.tensor([LARGEST, -LARGEST], device=DEVICE)[:, None].expand(2, 64))


@needs_gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@examples(on_cpu=1, on_gpu=100)
@some_tokens
def test_8_bit_caches_are_rounded_as_by_torch(dtype, tokens, shape, layouts, seed):
    torch.manual_seed(seed)
    num_kv_heads, head_dim, block_size = shape
    num_blocks = tokens // block_size + 2
    caches = empty_caches(lambda layout: empty_8_bit_cache(num_blocks, block_size, num_kv_heads, head_dim, layout), layouts)
    keys, values = keys_and_values(tokens, num_kv_heads, head_dim, dtype, scale=100.0)
    if tokens:
        keys[0, 0, :2] = torch.tensor([float("nan"), float("inf")])     # of a broken model: NaN stays NaN
    k_scale, v_scale = torch.tensor(0.37, device=DEVICE), torch.tensor([1.9], device=DEVICE)
    assert_written([keys, values, some_slots(tokens, num_blocks, block_size)], caches, k_scale, v_scale)


@pytest.mark.parametrize("rows_per_program, num_warps", [(1, 1), (4, 2), (64, 8)])
def test_how_the_work_is_cut_up_is_nobodys_business(rows_per_program, num_warps):
    caches = empty_cache(3, 4, 3, 10, torch.float32, "in a slot")
    assert_written([*keys_and_values(7, 3, 10, torch.float32), some_slots(7, 3, 4)], caches,
                   write=lambda *arguments: write_cache(*arguments, rows_per_program=rows_per_program, num_warps=num_warps))


def cache(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


@pytest.mark.parametrize("changed, says", [
    (dict(key_cache=cache(4, 3, 2, 7)), "block size, KV heads, D"),
    (dict(value_cache=cache(5, 3, 2, 8)), "block size, KV heads, D"),
    (dict(key_cache=cache(4, 0, 2, 8), value_cache=cache(4, 0, 2, 8)), "block size, KV heads, D"),
    (dict(value_cache=cache(4, 3, 2, 16)[..., ::2]), "neighbours"),
    (dict(key_cache=cache(4, 3, 2, 8, dtype=torch.float16), value_cache=cache(4, 3, 2, 8, dtype=torch.float16)), "cannot go into"),
    (dict(key_cache=cache(4, 3, 2, 8, dtype=FLOAT8)), "cannot go into"),
    (dict(slot_mapping=torch.zeros(6, dtype=torch.int32)), "int64"),
    (dict(slot_mapping=torch.zeros(5, dtype=torch.int64)), "slot_mapping"),
    (dict(values=cache(6, 2, 8, dtype=torch.float16)), "one dtype"),
    (dict(values=cache(5, 2, 8)), "one dtype"),
    (dict(keys=cache(6, 2, 16)[..., ::2]), "contiguous"),
    (dict(k_scale=torch.ones(1)), "None for everything else"),
    (dict(key_cache=cache(4, 3, 2, 8, dtype=FLOAT8), value_cache=cache(4, 3, 2, 8, dtype=FLOAT8), v_scale=torch.ones(2)), "one float32 number"),
])
def test_what_it_cannot_do_it_says(changed, says):
    arguments = dict(keys=cache(6, 2, 8), values=cache(6, 2, 8), key_cache=cache(4, 3, 2, 8), value_cache=cache(4, 3, 2, 8),
                     slot_mapping=torch.arange(6)) | changed
    with pytest.raises(ValueError, match=says):
        write_cache(**arguments)


def test_the_bytes_that_must_move_are_those_of_the_tensors():
    keys, slots = cache(7, 2, 10, dtype=torch.float16), torch.arange(7)
    assert bytes_min(7, 2, 10, torch.float16) == 4 * keys.nbytes + slots.nbytes
    assert bytes_min(7, 2, 10, torch.float16, FLOAT8) == 3 * keys.nbytes + slots.nbytes


@needs_gpu
@each_dtype
def test_in_a_cuda_graph(dtype):
    """Of a padded batch: which rows are padding changes from step to step."""
    (keys, values), caches = keys_and_values(33, 8, 128, dtype), empty_cache(20, 16, 8, 128, dtype, "in a slot")
    slots = torch.full((33,), -1, device=DEVICE)
    graph = captured(lambda: write_cache(keys, values, *caches, slots))
    assert all(cache.isnan().all() for cache in caches)
    slots.copy_(some_slots(33, 20, 16))
    assert_written([keys, values, slots], caches, write=lambda *_: graph.replay())


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_slots_beyond_two_to_the_31():
    num_blocks = 2**31 // (16 * 2 * 8 * 128) + 9
    keys, values = keys_and_values(3, 8, 128, torch.bfloat16)
    for layout in ("in a slot", "behind one another"):
        caches = torch.empty(num_blocks, 16, 2, 8, 128, dtype=torch.bfloat16, device=DEVICE).unbind(2)
        if layout == "behind one another":
            caches = torch.empty(2, num_blocks, 16, 8, 128, dtype=torch.bfloat16, device=DEVICE).unbind()
        write_cache(keys, values, *caches, torch.tensor([num_blocks * 16 - 1, 3, num_blocks * 16 - 17], device=DEVICE))
        for cache, x in zip(caches, (keys, values)):
            assert torch.equal(cache[-1, 15], x[0]) and torch.equal(cache[0, 3], x[1]) and torch.equal(cache[-2, 15], x[2])


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("cached", ["the same", "float8"])
@pytest.mark.parametrize("layout", ["in a slot", "in a head", "in a block"])
def test_every_bit_is_vllms(dtype, cached, layout):
    torch.manual_seed(0)
    keys, values = (each.contiguous() for each in keys_and_values(257, 8, 128, dtype))
    slots = some_slots(257, 20, 16)
    ours, theirs = (empty_8_bit_cache(20, 16, 8, 128, layout) if cached == "float8" else empty_cache(20, 16, 8, 128, dtype, layout) for _ in range(2))
    scales = [torch.tensor(each, device=DEVICE) for each in (0.37, 1.9)] if cached == "float8" else []
    write_cache(keys, values, *ours, slots, *scales)
    vllm_kernels.write_cache(keys, values, *theirs, slots, *scales)
    for mine, other in zip(ours, theirs):
        assert torch.equal(as_integers(mine), as_integers(other))
