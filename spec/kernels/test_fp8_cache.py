"""Attention on a float8 cache: of what it holds as exact as torch, and of what was put into it as near as three bits of a fraction allow."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kernels.cache_write import write_cache  # noqa: E402
from kernels.decode_attention import decode_attention, decode_attention_twin, make_plan  # noqa: E402
from kernels.prefill_attention import prefill_attention, prefill_attention_twin  # noqa: E402
from spec.kernels.caches import (GEOMETRIES, LAYOUTS, assert_each_as_exact_as_torch, dense_attention, empty_cache, examples,  # noqa: E402
                                 largest_score, lengths, paged, qkv_queries, untouched)
from spec.kernels.exactness import DEVICE, each_dtype, poisoned  # noqa: E402

FP8 = torch.float8_e4m3fn


def scales(k: float, v: float) -> dict[str, torch.Tensor]:
    return {"k_scale": torch.tensor([k], dtype=torch.float32, device=DEVICE), "v_scale": torch.tensor([v], dtype=torch.float32, device=DEVICE)}


def starts(new: list[int]) -> torch.Tensor:
    return torch.tensor([0, *new]).cumsum(0).to(DEVICE, torch.int32)


@each_dtype
@given(data=st.data())
@examples(6, 100)
def test_decode_is_as_exact_as_torch(dtype, data):
    head_dim, group, block_size = data.draw(st.sampled_from(GEOMETRIES))
    its_lengths, seed = data.draw(lengths(block_size)), data.draw(st.integers(0, 999))
    factors = scales(*data.draw(st.sampled_from([(1.0, 1.0), (0.03, 1.0), (1.0, 0.03), (0.4, 3.0)])))
    requests = paged(its_lengths, 2, head_dim, block_size, FP8, data.draw(st.sampled_from(list(LAYOUTS))), seed)
    queries, out = qkv_queries(len(its_lengths), 2 * group, 2, head_dim, dtype, seed), poisoned(len(its_lengths), 2 * group, head_dim, dtype=dtype)
    with untouched(queries, *requests.arguments, *factors.values()):
        decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens, 2, 1), out=out, **factors)
    torchs, exact = (decode_attention_twin(queries.to(each), *requests.arguments, **factors) for each in (dtype, torch.float64))
    assert_each_as_exact_as_torch([slice(row, row + 1) for row in range(len(out))], out, torchs, exact,
                                  largest_score(queries, requests) * factors["k_scale"].item())


@each_dtype
@given(data=st.data())
@examples(5, 100)
def test_prefill_is_as_exact_as_torch(dtype, data):
    head_dim, group, block_size = data.draw(st.sampled_from(GEOMETRIES))
    its_lengths, seed = data.draw(lengths(block_size, most_tokens=150 if DEVICE == "cpu" else 5000)), data.draw(st.integers(0, 999))
    new = [data.draw(st.integers(min(1, length), length)) for length in its_lengths]
    factors = scales(*data.draw(st.sampled_from([(1.0, 1.0), (0.03, 1.0), (1.0, 0.03), (0.4, 3.0)])))
    requests = paged(its_lengths, 1, head_dim, block_size, FP8, data.draw(st.sampled_from(list(LAYOUTS))), seed)
    queries, out = qkv_queries(sum(new), group, 1, head_dim, dtype, seed), poisoned(sum(new), group, head_dim, dtype=dtype)
    with untouched(queries, *requests.arguments, *factors.values()):
        prefill_attention(queries, *requests.arguments, starts(new), out=out, **factors)
    torchs, exact = (prefill_attention_twin(queries.to(each), *requests.arguments, starts(new), **factors) for each in (dtype, torch.float64))
    edges = starts(new).tolist()
    assert_each_as_exact_as_torch([slice(*edge) for edge in zip(edges, edges[1:]) if edge[0] < edge[1]], out, torchs, exact,
                                  largest_score(queries, requests) * factors["k_scale"].item())


@each_dtype
def test_all_numbers_that_float8_has(dtype):
    """Each as the value of the one token that a request has: read back as it is, subnormal ones and zeros too."""
    codes = torch.arange(256, dtype=torch.uint8, device=DEVICE)
    numbers = codes[codes & 0x7F != 0x7F].view(FP8)     # but for the two NaNs
    values = torch.cat([numbers.view(torch.uint8), codes[:2]]).view(FP8).reshape(1, 16, 1, 16)     # 254 of them, and two again
    tables = torch.zeros(16, 1, dtype=torch.int32, device=DEVICE)
    blocks = poisoned(16, 16, 1, 16, dtype=FP8)
    blocks[:, 0, 0] = values[0, :, 0]
    keys = torch.ones(16, 16, 1, 16, device=DEVICE).to(FP8)
    tables[:, 0] = torch.arange(16, device=DEVICE)
    found = decode_attention(torch.ones(16, 1, 16, dtype=dtype, device=DEVICE), keys, blocks, tables, torch.ones(16, dtype=torch.int32, device=DEVICE),
                             **scales(1.0, 1.0))
    torch.testing.assert_close(found[:, 0], values[0, :, 0].to(dtype), rtol=0, atol=0)


def writable(x: torch.Tensor, scale: float) -> torch.Tensor:
    """On the CPU, x as a number that float8 has, and up to 2 % more: where rounding would carry, Triton's interpreter makes 4 of 7.99."""
    if DEVICE != "cpu":
        return x
    nudge = 1.002 + 0.018 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    return ((x.float() / scale).to(FP8).float() * scale * nudge).to(x.dtype)


@each_dtype
@pytest.mark.parametrize("k, v", [(1.0, 1.0), (0.02, 0.5), (0.5, 0.02)])
def test_near_what_was_written(dtype, k, v):
    """`write_cache`, then attention, against attention that never heard of float8.

    A number x is stored as x' with |x' - x| <= |x| / 16 (three bits of a fraction, rounded), or half of the smallest
    number, scale / 1024. So a score moves by at most e = s * sum |q| |k' - k|, a weight by a factor of at most exp(2 e),
    and a result by at most exp(2 e) * sum w |v' - v| + (exp(2 e) - 1) * sum w |v|: bounds that know nothing of the kernel.
    """
    length, num_kv_heads, head_dim, block_size = 70, 2, 64, 16
    made = paged([length], num_kv_heads, head_dim, block_size, dtype)
    keys, values = writable(made.keys[0], k), writable(made.values[0] + 2, v)
    queries = qkv_queries(length, num_kv_heads, num_kv_heads, head_dim, dtype) / 4
    key_cache, value_cache = empty_cache(len(made.key_cache), block_size, num_kv_heads, head_dim, FP8, "in a slot")
    token = torch.arange(length, device=DEVICE)
    slots = made.block_tables[0, token // block_size].long() * block_size + token % block_size
    write_cache(keys, values, key_cache, value_cache, slots, **scales(k, v))

    arguments = key_cache, value_cache, made.block_tables, made.seq_lens
    prefilled = prefill_attention(queries, *arguments, starts([length]), **scales(k, v))
    decoded = decode_attention(queries[-1:], *arguments, **scales(k, v))

    right = dense_attention(queries, keys, values)
    keys_off, values_off = keys.double().abs() / 16 + k / 1024, values.double().abs() / 16 + v / 1024
    e = torch.einsum("qhd,khd->qkh", queries.double().abs(), keys_off).amax(1)[..., None] / head_dim ** 0.5
    moved = (2 * e).exp() * dense_attention(queries, keys, values_off) + ((2 * e).exp() - 1) * dense_attention(queries, keys, values.abs())
    allowed = moved + 8 * torch.finfo(dtype).eps * right.abs().max()     # of the kernel's own rounding
    assert (allowed / right.abs()).median() < 0.6, "the bound says nothing"
    assert ((prefilled.double() - right).abs() <= allowed).all()
    assert ((decoded.double() - right[-1:]).abs() <= allowed[-1:]).all()


@pytest.mark.parametrize("given_scales", [["k_scale"], ["v_scale"], []])
def test_a_float8_cache_needs_both_scales(given_scales):
    requests, queries = paged([5], 1, 16, 16, FP8), torch.ones(1, 1, 16, device=DEVICE)
    some = {name: scale for name, scale in scales(1.0, 1.0).items() if name in given_scales}
    with pytest.raises(ValueError, match="k_scale and v_scale"):
        decode_attention(queries, *requests.arguments, **some)
    with pytest.raises(ValueError, match="k_scale and v_scale"):
        prefill_attention(queries, *requests.arguments, starts([1]), **some)


def test_other_caches_have_none():
    requests, queries = paged([5], 1, 16, 16, torch.float32), torch.ones(1, 1, 16, device=DEVICE)
    with pytest.raises(ValueError, match="k_scale and v_scale"):
        decode_attention(queries, *requests.arguments, **scales(1.0, 1.0))
