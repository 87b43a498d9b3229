"""Paged decode attention: against the twin, and against whatever an engine's memory may hold. Its plan alone: `test_decode_plan.py`."""
import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kernels.decode_attention import MANY, Plan, decode_attention, decode_attention_twin, make_plan  # noqa: E402
from reference import vllm_kernels  # noqa: E402
from spec.kernels.caches import (GEOMETRIES, HOPELESS, LAYOUTS, assert_each_as_exact_as_torch, dense_attention, examples,  # noqa: E402
                                 far_end, largest_score, lengths, paged, qkv_queries, untouched, write)
from spec.kernels.exactness import DEVICE, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned, unsynchronised  # noqa: E402

SMALL = {"TILE": 16, "num_warps": 4, "num_stages": 2}
SCALES = [None, 0.1, 0.02]


@st.composite
def cases(draw) -> dict:
    head_dim, group, block_size = draw(st.sampled_from(GEOMETRIES))
    return {"lengths": draw(lengths(block_size)), "num_kv_heads": draw(st.integers(1, 2 if DEVICE == "cpu" else 8)), "group": group,
            "head_dim": head_dim, "block_size": block_size, "layout": draw(st.sampled_from(list(LAYOUTS))),
            "scale": draw(st.sampled_from(SCALES)), "seed": draw(st.integers(0, 999))}


def case(lengths=(70, 5), num_kv_heads=2, group=2, head_dim=16, block_size=16, dtype=torch.float32, layout="in a slot", seed=0, **more):
    """Queries, and the requests that they are from. A row of padding, of length 0, holds NaN."""
    requests = paged(list(lengths), num_kv_heads, head_dim, block_size, dtype, layout, seed, **more)
    queries = qkv_queries(len(lengths), num_kv_heads * group, num_kv_heads, head_dim, dtype, seed)
    queries[requests.seq_lens == 0] = float("nan")
    return queries, requests


def check(found, queries, requests, scale=None):
    """Against the twin."""
    torchs = decode_attention_twin(queries, *requests.arguments, scale=scale)
    exact = decode_attention_twin(queries.double(), *requests.arguments, scale=scale)
    each_row = [slice(row, row + 1) for row in range(len(found))]
    assert_each_as_exact_as_torch(each_row, found, torchs, exact, largest_score(queries, requests, scale))
    assert not found[requests.seq_lens == 0].any(), "a row of padding is not 0"


def pieces(lengths: list[int], cuts: list[list[int]], nobodys: int = 2) -> Plan:
    """A plan that cuts each request where it is told; `nobodys` items are left over, and say what may be left there."""
    items, first = [], [0]
    for request, (length, inner) in enumerate(zip(lengths, cuts)):
        ends = [0, *(cut for cut in sorted(set(inner)) if 0 < cut < length), length]
        items += [(request, start, stop, len(ends) == 2) for start, stop in zip(ends, ends[1:]) if stop]
        first.append(len(items))
    items += [(0, 3 * HOPELESS // 4, 0, 0)] * nobodys
    # Two programs: one with most items, and one with the last.
    tensors = [torch.tensor(each, dtype=torch.int32, device=DEVICE) for each in (items, first, [0, max(0, first[-1] - 1), first[-1]])]
    return Plan(tensors[0].reshape(-1, 4), *tensors[1:])


# What it computes.

@given(drawn=cases())
@examples(30, 200)
def test_the_twin_is_attention(drawn):
    scale = drawn.pop("scale")
    queries, requests = case(**drawn, dtype=torch.float64)
    found = decode_attention_twin(queries, *requests.arguments, scale=scale)
    for row, (keys, values) in enumerate(zip(requests.keys, requests.values)):
        right = dense_attention(queries[row, None], keys, values, scale)[0] if len(keys) else torch.zeros_like(queries[row])
        torch.testing.assert_close(found[row], right, rtol=1e-12, atol=1e-12)


@each_dtype
@given(drawn=cases(), programs_per_sm=st.sampled_from([1, 1, 1, 2, None]))
@examples(10, 150)
def test_as_exact_as_torch(dtype, drawn, programs_per_sm):
    """Any blocks in any order, in any layout; NaN wherever nothing is to be read and wherever all is to be written; inputs unchanged."""
    scale = drawn.pop("scale")
    queries, requests = case(**drawn, dtype=dtype)
    out = poisoned(*queries.shape, dtype=dtype)
    with untouched(queries, *requests.arguments):
        its_plan = programs_per_sm and make_plan(requests.seq_lens, drawn["num_kv_heads"], programs_per_sm)
        assert decode_attention(queries, *requests.arguments, its_plan, scale, out=out) is out
    check(out, queries, requests, scale=scale)


@needs_gpu
def test_sums_taken_one_by_one_are_as_exact_as_sums_can_be():
    """What chance once found: the 128 products of one score, large and cancelling, which torch adds up in another order."""
    queries, requests = case([129, 385, 65, 129, 385], 1, 8, 128, 128, torch.float32, "apart", seed=6)
    check(decode_attention(queries, *requests.arguments, scale=0.1), queries, requests, scale=0.1)


@each_dtype
@pytest.mark.parametrize("head_dim, group, block_size", GEOMETRIES)
def test_every_geometry(dtype, head_dim, group, block_size):
    """Hypothesis may leave some out; here, a request has a last block with a hole, and another fills its blocks."""
    if DEVICE == "cpu" and dtype != torch.float32:
        pytest.skip("the interpreter takes too long for all types: run this on a machine with an NVIDIA GPU")
    queries, requests = case([block_size + 1, 2 * block_size], 1, group, head_dim, block_size, dtype)
    found = decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens, 1, 1))
    assert found.dtype == dtype and found.shape == queries.shape and found.is_contiguous()
    check(found, queries, requests)


def test_no_requests():
    queries, requests = case([])
    assert decode_attention(queries, *requests.arguments).shape == queries.shape
    assert make_plan(requests.seq_lens, 2).first.tolist() == [0]


def test_only_padding():
    """Block tables of padding may be of no width at all."""
    queries, requests = case([0, 0, 0], more_blocks=0)
    check(decode_attention(queries, *requests.arguments, out=poisoned(*queries.shape)), queries, requests)


def test_block_tables_are_not_followed_beyond_the_last_block():
    """Behind it stands what no memory is at. (Elsewhere, a block of NaN that nobody has: a failure, and not a crash.)"""
    queries, requests = case([0, 1, 16, 17, 64, 100], behind=HOPELESS)
    check(decode_attention(queries, *requests.arguments), queries, requests)


def test_requests_may_share_blocks():
    queries, requests = case([40, 40, 33])
    requests.block_tables[1, :2] = requests.block_tables[0, :2]
    requests.block_tables[2, 0] = requests.block_tables[0, 0]
    check(decode_attention(queries, *requests.arguments), queries, requests)


def test_out_may_have_gaps():
    """As rows and heads of a wider tensor; what lies between stays as it is."""
    queries, requests = case([70, 0, 5])
    wide = poisoned(3, 7, 24)
    out = wide[:, 1:5, 4:20]
    decode_attention(queries, *requests.arguments, out=out)
    check(out.clone(), queries, requests)
    out[:] = float("nan")
    assert wide.isnan().all()


# Scores.

@each_dtype
def test_every_token_is_seen(dtype):
    """One that outweighs all others, wherever a tile, a block or a piece begins or ends, decides alone.

    A miss of one among hundreds would otherwise be no larger than bfloat16's errors.
    """
    length, at = 258, [0, 1, 16, 63, 64, 65, 127, 128, 129, 255, 256, 257]
    queries, requests = case([length] * len(at), 1, 2, 16, 16, dtype)
    for row, (keys, token) in enumerate(zip(requests.keys, at)):
        keys[:] = 0
        keys[token] = 40 * queries[row, 0].sign()
        queries[row, 1] = queries[row, 0]
    write(requests)
    found = decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens, 1, 1), scale=1.0)
    for row, token in enumerate(at):
        torch.testing.assert_close(found[row], requests.values[row][token].expand(2, -1), rtol=0, atol=0, msg=f"token {token} of {length}")


@each_dtype
@pytest.mark.parametrize("length", [1, 63, 64, 65, 257])
def test_all_equal_scores(dtype, length):
    """The mean of all values: 1 if all are 1, and one of as many, if it is 1 and they are 0. So none counts twice, nor what isn't there."""
    queries, requests = case([length] * 3, 1, 3, 32, 48, dtype)
    queries[:2] = 0     # and in the third request, all keys are the same
    requests.keys[2][:] = requests.keys[2][:1].clone()
    for row, value in enumerate((1, 0, 0)):
        requests.values[row][:] = value
        requests.values[row][-1] = 1
    write(requests)
    found = decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens, 1, 1))
    for row, right in enumerate((1, 1 / length, 1 / length)):
        torch.testing.assert_close(found[row], torch.full_like(found[row], right), rtol=4 * torch.finfo(dtype).eps, atol=0)


@each_dtype
@pytest.mark.parametrize("sign", [1, -1])
def test_large_scores(dtype, sign):
    """Ten thousand or less by little, all of them, or all of them negative: e to their power is no number at all."""
    queries, requests = case([130, 300, 1], 2, 2, 16, 16, dtype)
    queries[:] = 25.0
    for keys in requests.keys:
        keys[:] = sign * 25.0 + keys.sign() / 8
    write(requests)
    found = decode_attention(queries, *requests.arguments, pieces([130, 300, 1], [[], [64, 128], []]), scale=1.0)
    assert math.isclose(16 * 25 * 25, 10_000)
    check(found, queries, requests, scale=1.0)


@pytest.mark.parametrize("scale", [1e-6, 3.0])
def test_scale(scale):
    """Almost the mean of the values; almost the one that fits best."""
    queries, requests = case([65, 5])
    found = decode_attention(queries, *requests.arguments, scale=scale)
    for row, (keys, values) in enumerate(zip(requests.keys, requests.values)):
        torch.testing.assert_close(found[row], dense_attention(queries[row, None], keys, values, scale)[0].float(), rtol=1e-5, atol=1e-5)


# Pieces, and who computes them.

@each_dtype
@pytest.mark.parametrize("group", [2, 3])
def test_pieces_of_few_among_many_requests(dtype, group):
    """They are merged several heads at a time, if these divide, and pieces beyond the eighth in another round."""
    lengths, cuts = [1] * MANY, [[] for _ in range(MANY)]
    lengths[3], lengths[-1] = 0, 40
    lengths[40], cuts[40] = 150, list(range(15, 150, 15))
    lengths[41], cuts[41] = 20, [7]
    queries, requests = case(lengths, 2, group, 16, 16, dtype)
    check(decode_attention(queries, *requests.arguments, pieces(lengths, cuts)), queries, requests)


@each_dtype
@given(data=st.data())
@examples(5, 150)
def test_pieces_do_not_matter(dtype, data):
    """Pieces of any length, and more of them than are merged in one go."""
    tile = 16
    its_lengths = data.draw(st.lists(st.sampled_from([0, 1, 15, 16, 17, 100, 257, 330]), min_size=1, max_size=3))
    cuts = [[tile * cut for cut in data.draw(st.one_of(st.just(range(1, 21)), st.sets(st.integers(1, 20))))] for _ in its_lengths]
    queries, requests = case(its_lengths, 1, 3, 32, 16, dtype)
    for row in range(len(its_lengths)):
        requests.keys[row] *= data.draw(st.sampled_from([0.1, 1, 10]))      # pieces of very different weight, too
    write(requests)
    out = poisoned(*queries.shape, dtype=dtype)
    decode_attention(queries, *requests.arguments, pieces(its_lengths, cuts), out=out, tiles=SMALL)
    check(out, queries, requests)


@pytest.mark.parametrize("count, order", [(15, 1), (16, 1), (17, 1), (33, 1), (33, -1)])
def test_so_many_pieces(count, order):
    """Scores grow from piece to piece, or fall: what is merged first must shrink, or what comes later."""
    length = 16 * count - 3
    queries, requests = case([5, length, 20], 1, 1)
    requests.keys[1][:] = queries[1] * torch.linspace(0, 1, length, device=DEVICE).flip([0] if order < 0 else [])[:, None, None] + requests.keys[1] / 8
    write(requests)
    found = decode_attention(queries, *requests.arguments, pieces([5, length, 20], [[], range(0, length, 16), []]), tiles=SMALL)
    check(found, queries, requests)


def test_a_piece_that_outweighs_the_others():
    """By more than a float32 has room for, were exponentials not taken relative to the highest score; in whichever order."""
    for heavy in range(3):
        queries, requests = case([192], 1, 1)
        queries[:] = 4.0
        requests.keys[0][:] = -8.0
        requests.keys[0][64 * heavy + 7] = 8.0
        write(requests)
        found = decode_attention(queries, *requests.arguments, pieces([192], [[64, 128]]), scale=1.0)
        torch.testing.assert_close(found[0, 0], requests.values[0][64 * heavy + 7, 0], rtol=1e-6, atol=0)


def test_a_plan_serves_many_layers():
    queries, requests = case([300, 0, 20])
    shared = make_plan(requests.seq_lens, 2, 1)
    with untouched(shared.items, shared.first, shared.begin):
        for seed in range(2):
            queries, requests = case([300, 0, 20], seed=seed)
            check(decode_attention(queries, *requests.arguments, shared), queries, requests)


# Refusals.

@pytest.mark.parametrize("wrong, message", [
    (dict(queries=lambda x: x[:, :3]), "heads"),
    (dict(queries=lambda x: x[..., :8]), "D"),
    (dict(queries=lambda x: x[:1]), "requests|rows|quer"),
    (dict(queries=lambda x: x.long()), "int64|float|type"),
    (dict(queries=lambda x: x.half()), "float16|type"),
    (dict(queries=lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)), "contiguous"),
    (dict(key_cache=lambda x: x[:, :8]), "alike"),
    (dict(key_cache=lambda x: x[:1]), "alike"),
    (dict(value_cache=lambda x: x[:, :, :1]), "alike"),
    (dict(value_cache=lambda x: x.half()), "float16|type|alike"),
    (dict(key_cache=lambda x: x.half(), value_cache=lambda x: x.half()), "float16|type"),
    (dict(value_cache=lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)), "contiguous"),
    (dict(key_cache=lambda x: x.to(torch.float8_e4m3fn), value_cache=lambda x: x.to(torch.float8_e4m3fn)), "scale"),
    (dict(block_tables=lambda x: x[:1]), "block tables"),
    (dict(block_tables=lambda x: x.long()), "int32"),
    (dict(block_tables=lambda x: x.repeat_interleave(2, 1)[:, ::2]), "contiguous"),
    (dict(seq_lens=lambda x: x.long()), "int32"),
    (dict(seq_lens=lambda x: x[:1]), "lengths"),
    (dict(seq_lens=lambda x: x.repeat_interleave(2)[::2]), "contiguous"),
    (dict(out=lambda x: x[:1]), "out"),
    (dict(out=lambda x: x.half()), "out"),
    (dict(out=lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)), "out"),
], ids=lambda value: ", ".join(value) if isinstance(value, dict) else value)
def test_what_does_not_fit_is_refused(wrong, message):
    """At the door, in words, before memory is read that isn't there."""
    queries, requests = case([70, 5])
    arguments = dict(queries=queries.clone(), key_cache=requests.key_cache.clone(), value_cache=requests.value_cache.clone(),
                     block_tables=requests.block_tables, seq_lens=requests.seq_lens, out=torch.zeros_like(queries))
    arguments |= {name: change(arguments[name]) for name, change in wrong.items()}
    with untouched(arguments["out"]), pytest.raises(ValueError, match=message):
        decode_attention(**arguments)


def test_a_plan_of_other_requests_is_refused():
    queries, requests = case([70, 5])
    with pytest.raises(ValueError, match="plan"):
        decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens[:1], 2, 1))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_must_be_above_0(scale):
    queries, requests = case([70, 5])
    with pytest.raises(ValueError, match="scale"):
        decode_attention(queries, *requests.arguments, scale=scale)


# Long caches.

@pytest.mark.parametrize("layout", ["in a slot", "heads first"])
@pytest.mark.usefixtures("gigabytes")
def test_beyond_two_to_the_31_numbers(layout):
    """Blocks at the far end of memory that is only spoken for: a page comes into being when it is written to."""
    queries, requests = case([100, 0, 65], 3, 1, 64, 64, torch.float16)
    key_cache, value_cache = far_end(requests, layout)
    tables = requests.block_tables + (len(key_cache) - len(requests.key_cache))
    found = decode_attention(queries, key_cache, value_cache, tables, requests.seq_lens, make_plan(requests.seq_lens, 3, 1))
    check(found, queries, requests)


# On a GPU.

@needs_gpu
@each_dtype
def test_a_graph_serves_any_lengths(dtype):
    """Captured once, plan and all, at the largest shapes; then everything changes in place."""
    largest = [4096] * 8
    queries, requests = case(largest, 4, 4, 128, 16, dtype)
    out = poisoned(*queries.shape, dtype=dtype)
    graph = captured(lambda: decode_attention(queries, *requests.arguments, out=out))
    for seed, its_lengths in enumerate([largest, [1] * 8, [0] * 8, [0, 4096, 1, 255, 0, 257, 3000, 16], [4096, 0, 0, 0, 0, 0, 0, 0]]):
        new_queries, new = case(its_lengths, 4, 4, 128, 16, dtype, seed=seed)
        columns, blocks = new.block_tables.shape[1], len(new.key_cache)
        requests.block_tables.fill_(HOPELESS)[:, :columns] = new.block_tables
        requests.key_cache.fill_(float("nan"))[:blocks], requests.value_cache.fill_(float("nan"))[:blocks] = new.key_cache, new.value_cache
        queries.copy_(new_queries)
        requests.seq_lens.copy_(new.seq_lens)
        out.fill_(float("nan"))
        graph.replay()
        check(out, queries, requests)


@needs_gpu
def test_nothing_waits_for_the_gpu():
    queries, requests = case([300, 0, 20], dtype=torch.bfloat16)
    decode_attention(queries, *requests.arguments)      # compiles
    torch.cuda.synchronize()
    with unsynchronised():
        found = decode_attention(queries, *requests.arguments, make_plan(requests.seq_lens, 2))
    check(found, queries, requests)


@needs_gpu
def test_the_same_again_bit_for_bit():
    queries, requests = case([5000, 0, 20, 1, 700], 8, 4, 128, 16, torch.bfloat16)
    first = decode_attention(queries, *requests.arguments)
    assert all(torch.equal(decode_attention(queries, *requests.arguments), first) for _ in range(20))


# Against vLLM's own kernels. They may read what is behind a request's end, and a length of 0 is none for them.

AS_VLLM_HAS_IT = dict(layout="in a head", unused=0.0, behind=0)
VLLM_CASES = [dict(lengths=[1, 15, 16, 17, 1000], num_kv_heads=8, group=4, head_dim=128, block_size=16),
              dict(lengths=[4096, 33], num_kv_heads=2, group=7, head_dim=64, block_size=16),
              dict(lengths=[20_000], num_kv_heads=8, group=2, head_dim=128, block_size=16),
              dict(lengths=[257] * 40, num_kv_heads=4, group=1, head_dim=128, block_size=64)]


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("shape", VLLM_CASES)
@pytest.mark.parametrize("name, mode", [("decode_attention_fa3", None), ("decode_attention_triton", "2d"), ("decode_attention_triton", "3d")])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_vllms_kernel_and_ours_are_as_exact_as_torch(dtype, name, mode, shape):
    queries, requests = case(**shape, dtype=dtype, **AS_VLLM_HAS_IT)
    check(decode_attention(queries, *requests.arguments), queries, requests)
    check(getattr(vllm_kernels, name)(queries, *requests.arguments, **({"mode": mode} if mode else {})), queries, requests)


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("shape", VLLM_CASES)
@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_vllms_kernel_and_ours_in_float32(mode, shape):
    """vLLM's multiplies float32 with TF32's 11 bits, which are float16's; ours with all 24."""
    queries, requests = case(**shape, dtype=torch.float32, **AS_VLLM_HAS_IT)
    check(decode_attention(queries, *requests.arguments), queries, requests)
    vllms = vllm_kernels.decode_attention_triton(queries, *requests.arguments, mode=mode)
    exact = decode_attention_twin(queries.double(), *requests.arguments)
    assert_as_exact_as_torch(vllms.half(), decode_attention_twin(queries.half(), *requests.arguments), exact)
