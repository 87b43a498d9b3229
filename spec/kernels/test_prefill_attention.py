"""Paged prefill and mixed attention: against the twin, against decode, and against whatever an engine's memory may hold."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kernels.decode_attention import decode_attention, decode_attention_twin, make_plan  # noqa: E402
from kernels.prefill_attention import prefill_attention, prefill_attention_twin  # noqa: E402
from reference import vllm_kernels  # noqa: E402
from spec.kernels.caches import (BORDERS, GEOMETRIES, HOPELESS, LAYOUTS, assert_each_as_exact_as_torch, dense_attention, examples,  # noqa: E402
                                 far_end, largest_score, lengths, memory, paged, qkv_queries, untouched, write)
from spec.kernels.exactness import DEVICE, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned, unsynchronised  # noqa: E402


@st.composite
def cases(draw) -> dict:
    """Requests that decode, prefill, go on with a chunk, or do nothing, in any order; padding behind them."""
    head_dim, group, block_size = draw(st.sampled_from(GEOMETRIES))
    its_lengths = draw(lengths(block_size, most_tokens=140 if DEVICE == "cpu" else 8000))
    new = [draw(st.one_of(st.just(length), st.just(min(1, length)), st.integers(0, length), st.sampled_from([min(each, length) for each in BORDERS])))
           for length in its_lengths]
    return {"lengths": its_lengths, "new": new, "padding": draw(st.sampled_from([0, 0, 1, 40])), "num_kv_heads": draw(st.integers(1, 2 if DEVICE == "cpu" else 4)),
            "group": group, "head_dim": head_dim, "block_size": block_size, "layout": draw(st.sampled_from(list(LAYOUTS))),
            "scale": draw(st.sampled_from([None, 0.1, 0.02])), "seed": draw(st.integers(0, 999))}


def case(lengths=(70, 5), new=(33, 1), padding=0, num_kv_heads=2, group=2, head_dim=16, block_size=16, dtype=torch.float32, layout="in a slot", seed=0, **more):
    """Queries, the requests that they are from, and where each request's begin. Rows of padding, behind all, hold NaN."""
    requests = paged(list(lengths), num_kv_heads, head_dim, block_size, dtype, layout, seed, **more)
    queries = qkv_queries(sum(new) + padding, num_kv_heads * group, num_kv_heads, head_dim, dtype, seed, padding)
    return queries, requests, starts(new)


def starts(new) -> torch.Tensor:
    return torch.tensor([0, *new]).cumsum(0).to(DEVICE, torch.int32)


def rows_of(query_start):
    edges = query_start.tolist()
    return [slice(*edge) for edge in zip(edges, edges[1:])]


def check(found, queries, requests, query_start, scale=None):
    """Against the twin. Rows of padding are somebody else's affair."""
    torchs = prefill_attention_twin(queries, *requests.arguments, query_start, scale=scale)
    exact = prefill_attention_twin(queries.double(), *requests.arguments, query_start, scale=scale)
    each_request = [rows for rows in rows_of(query_start) if rows.start < rows.stop]
    assert_each_as_exact_as_torch(each_request, found, torchs, exact, largest_score(queries, requests, scale))


# What it computes.

@given(drawn=cases())
@examples(20, 100)
def test_the_twin_is_causal_attention(drawn):
    scale = drawn.pop("scale")
    queries, requests, query_start = case(**drawn, dtype=torch.float64)
    found = prefill_attention_twin(queries, *requests.arguments, query_start, scale=scale)
    for rows, keys, values in zip(rows_of(query_start), requests.keys, requests.values):
        if rows.start < rows.stop:
            torch.testing.assert_close(found[rows], dense_attention(queries[rows], keys, values, scale), rtol=1e-12, atol=1e-12)


@each_dtype
@given(drawn=cases())
@examples(10, 150)
def test_as_exact_as_torch(dtype, drawn):
    """Any blocks in any order, in any layout; NaN wherever nothing is to be read and wherever all is to be written; inputs and padding unchanged."""
    scale = drawn.pop("scale")
    queries, requests, query_start = case(**drawn, dtype=dtype)
    out = poisoned(*queries.shape, dtype=dtype)
    with untouched(queries, *requests.arguments, query_start):
        assert prefill_attention(queries, *requests.arguments, query_start, scale, out=out) is out
    check(out, queries, requests, query_start, scale=scale)
    padding = out[sum(drawn["new"]):]
    assert torch.equal(memory(padding.clone()), memory(poisoned(*padding.shape, dtype=dtype))), "rows of padding were written to"


@each_dtype
@pytest.mark.parametrize("head_dim, group, block_size", GEOMETRIES)
def test_every_geometry(dtype, head_dim, group, block_size):
    if DEVICE == "cpu" and dtype != torch.float32:
        pytest.skip("the interpreter takes too long for all types: run this on a machine with an NVIDIA GPU")
    queries, requests, query_start = case([block_size + 1, 70], [3, 40], 0, 1, group, head_dim, block_size, dtype)
    found = prefill_attention(queries, *requests.arguments, query_start)
    assert found.dtype == dtype and found.shape == queries.shape and found.is_contiguous()
    check(found, queries, requests, query_start)


def test_no_tokens():
    queries, requests, query_start = case([70, 0, 5], [0, 0, 0])
    assert prefill_attention(queries, *requests.arguments, query_start).shape == queries.shape


def test_only_padding():
    """Nobody's rows, as in a CUDA graph that is replayed for nothing: with requests that have none, and without requests."""
    for its_lengths in ([70, 0], []):
        queries, requests, query_start = case(its_lengths, [0] * len(its_lengths), padding=20)
        out = poisoned(*queries.shape).fill_(7.0)
        prefill_attention(queries, *requests.arguments, query_start, out=out)
        assert (out == 7.0).all()


def test_requests_of_padding_behind_the_others():
    """As vLLM pads a graph: query_start goes on with its last entry, lengths are 0, block tables hopeless."""
    queries, requests, query_start = case([40, 20, 0, 0, 0], [40, 1, 0, 0, 0], padding=9, behind=HOPELESS)
    out = poisoned(*queries.shape)
    prefill_attention(queries, *requests.arguments, query_start, out=out)
    check(out, queries, requests, query_start)
    assert out[41:].isnan().all()


@pytest.mark.parametrize("before", [1, 15, 16, 17, 200])
def test_rows_before_the_first_request_are_left_as_they_are(before):
    """They belong to requests that decode, which another kernel looks after."""
    queries, requests, query_start = case([40, 20], [40, 1], padding=9)
    queries, query_start = torch.cat((torch.ones_like(queries[:1]).expand(before, -1, -1), queries)), query_start + before
    out = poisoned(*queries.shape).fill_(7.0)     # not NaN, which is what a sum over nothing comes to
    prefill_attention(queries, *requests.arguments, query_start, out=out)
    check(out, queries, requests, query_start)
    assert (out[:before] == 7).all() and (out[before + 41:] == 7).all()


def test_block_tables_are_not_followed_beyond_the_last_block():
    """Behind it stands what no memory is at. (Elsewhere, a block of NaN that nobody has: a failure, and not a crash.)"""
    queries, requests, query_start = case([1, 16, 17, 64, 100], [1, 16, 1, 64, 50], behind=HOPELESS)
    check(prefill_attention(queries, *requests.arguments, query_start), queries, requests, query_start)


def test_requests_may_share_blocks():
    """Two prompts with the same beginning, of which the second finds it cached."""
    queries, requests, query_start = case([40, 45], [40, 13])
    requests.block_tables[1, :2] = requests.block_tables[0, :2]
    check(prefill_attention(queries, *requests.arguments, query_start), queries, requests, query_start)


def test_out_may_have_gaps():
    queries, requests, query_start = case([70, 5], [33, 1])
    wide = poisoned(34, 7, 24)
    out = wide[:, 1:5, 4:20]
    prefill_attention(queries, *requests.arguments, query_start, out=out)
    check(out.clone(), queries, requests, query_start)
    out[:] = float("nan")
    assert wide.isnan().all()


@pytest.mark.parametrize("rows, tile", [(16, 16), (32, 128), (128, 32)])
def test_tiles_do_not_matter(rows, tile):
    queries, requests, query_start = case([70, 40, 1], [20, 40, 1], num_kv_heads=1, group=3)
    check(prefill_attention(queries, *requests.arguments, query_start,
                            tiles={"ROWS": rows, "TILE": tile, "num_warps": 4, "num_stages": 2}), queries, requests, query_start)


# Who sees whom.

@each_dtype
@pytest.mark.parametrize("cached", [0, 1, 62, 63, 64, 65])
def test_a_token_is_seen_from_its_own_row_on(dtype, cached):
    """One that outweighs all others, at the borders of tiles and blocks: the rows before must not see it, and it decides alone in all others."""
    new = 70 - cached // 2
    at = sorted({0, max(cached - 1, 0), cached, cached + 1, *(each for each in (15, 16, 63, 64, 65) if each < cached + new), cached + new - 1})
    queries, requests, query_start = case([cached + new] * len(at), [new] * len(at), 0, 1, 2, 16, 16, dtype)
    queries[:] = 3.0
    for values, keys, token in zip(requests.values, requests.keys, at):
        keys[:] = 0
        keys[token] = 1.0
        values[:] = 0
        values[token] = 1.0
    write(requests)
    found = prefill_attention(queries, *requests.arguments, query_start, scale=1.0)      # a score of 48
    for row, token in enumerate(at):
        sees = torch.arange(cached, cached + new, device=DEVICE) >= token
        right = sees[:, None, None].expand(-1, 2, 16).to(dtype)
        torch.testing.assert_close(found[row * new:(row + 1) * new], right, rtol=0, atol=0, msg=lambda text: f"token {token} of {cached} + {new}: {text}")


@each_dtype
@pytest.mark.parametrize("cached, new", [(0, 1), (0, 65), (63, 2), (64, 64), (100, 29)])
def test_all_equal_scores(dtype, cached, new):
    """The mean of all values up to one's own: 1 if all are 1, and one of as many if the first alone is 1. So none counts twice, nor what isn't there."""
    queries, requests, query_start = case([cached + new] * 2, [new] * 2, 0, 1, 3, 32, 48, dtype)
    queries[:] = 0
    requests.values[0][:] = 1
    requests.values[1][:] = 0
    requests.values[1][0] = 1
    write(requests)
    found = prefill_attention(queries, *requests.arguments, query_start)
    count = torch.arange(cached + 1, cached + new + 1, device=DEVICE)[:, None, None].expand(-1, 3, 32)
    for rows, right in zip(rows_of(query_start), (torch.ones_like(count).to(dtype), (1 / count.double()).to(dtype))):
        torch.testing.assert_close(found[rows], right, rtol=4 * torch.finfo(dtype).eps, atol=0)


@each_dtype
@pytest.mark.parametrize("sign", [1, -1])
def test_large_scores(dtype, sign):
    """Of ten thousand and a few, all of them, or all of them negative: e to their power is no number at all."""
    queries, requests, query_start = case([130, 20], [70, 20], 0, 2, 2, 16, 16, dtype)
    queries[:] = 25.0
    for keys in requests.keys:
        keys[:] = sign * 25.0 + keys / 8
    write(requests)
    check(prefill_attention(queries, *requests.arguments, query_start, 1.0), queries, requests, query_start, scale=1.0)


@pytest.mark.parametrize("scale", [1e-6, 3.0])
def test_scale(scale):
    """Almost the mean of the values; almost the one that fits best."""
    queries, requests, query_start = case([65, 5], [20, 5])
    found = prefill_attention(queries, *requests.arguments, query_start, scale)
    for rows, keys, values in zip(rows_of(query_start), requests.keys, requests.values):
        torch.testing.assert_close(found[rows], dense_attention(queries[rows], keys, values, scale).float(), rtol=1e-5, atol=1e-5)


# The great invariant: however a prompt is cut in steps, each token gets the same.

@each_dtype
@given(length=st.sampled_from([1, 2, 64, 65, 90]), cuts=st.sets(st.integers(1, 89), max_size=3), block_size=st.sampled_from([16, 48]), seed=st.integers(0, 999))
@examples(2, 60)
def test_at_once_in_chunks_or_one_at_a_time(dtype, length, cuts, block_size, seed):
    """What a later chunk has not yet written is NaN, as it would be."""
    queries, requests, query_start = case([length], [length], 0, 1, 3, 32, block_size, dtype, seed=seed)
    at_once = prefill_attention(queries, *requests.arguments, query_start)
    check(at_once, queries, requests, query_start)

    edges = [0, *sorted(cut for cut in cuts if cut < length), length]
    keys, values = requests.keys, requests.values
    requests.key_cache[:], requests.value_cache[:] = float("nan"), float("nan")
    chunked = poisoned(*queries.shape, dtype=dtype)
    for start, stop in zip(edges, edges[1:]):
        requests.keys, requests.values = [keys[0][:stop]], [values[0][:stop]]
        write(requests)
        seq_lens = torch.tensor([stop], dtype=torch.int32, device=DEVICE)
        prefill_attention(queries[start:stop], *requests.arguments[:3], seq_lens, starts([stop - start]), out=chunked[start:stop])
    check(chunked, queries, requests, query_start)

    seq_lens = torch.arange(1, length + 1, dtype=torch.int32, device=DEVICE)
    if DEVICE == "cpu":
        seq_lens = seq_lens[-8:]
    rows = slice(length - len(seq_lens), length)
    decoded = decode_attention(queries[rows], *requests.arguments[:2], requests.block_tables.expand(len(seq_lens), -1), seq_lens, make_plan(seq_lens, 1, 1))
    torchs, exact = (decode_attention_twin(queries[rows].to(each), *requests.arguments[:2], requests.block_tables.expand(len(seq_lens), -1), seq_lens)
                     for each in (dtype, torch.float64))
    longest = largest_score(queries, requests)
    assert_as_exact_as_torch(decoded, torchs, exact, longest)
    assert_as_exact_as_torch(at_once[rows], torchs, exact, longest)


@each_dtype
def test_one_token_each_is_decode(dtype):
    queries, requests, query_start = case([70, 1, 64, 30], [1] * 4, dtype=dtype)
    exact = decode_attention_twin(queries.double(), *requests.arguments)
    found, torchs = prefill_attention(queries, *requests.arguments, query_start), decode_attention_twin(queries, *requests.arguments)
    assert_as_exact_as_torch(found, torchs, exact, largest_score(queries, requests))


# Refusals.

@pytest.mark.parametrize("wrong, message", [
    (dict(queries=lambda x: x[:, :3]), "heads"),
    (dict(queries=lambda x: x[..., :8]), "D"),
    (dict(queries=lambda x: x.long()), "int64|float|type"),
    (dict(queries=lambda x: x.half()), "float16|type"),
    (dict(queries=lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)), "contiguous"),
    (dict(key_cache=lambda x: x[:1]), "alike"),
    (dict(value_cache=lambda x: x[:, :, :1]), "alike"),
    (dict(value_cache=lambda x: x.half()), "float16|type|alike"),
    (dict(key_cache=lambda x: x.half(), value_cache=lambda x: x.half()), "float16|type"),
    (dict(key_cache=lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)), "contiguous"),
    (dict(key_cache=lambda x: x.to(torch.float8_e4m3fn), value_cache=lambda x: x.to(torch.float8_e4m3fn)), "scale"),
    (dict(block_tables=lambda x: x[:1]), "block tables"),
    (dict(block_tables=lambda x: x.long()), "int32"),
    (dict(seq_lens=lambda x: x.long()), "int32"),
    (dict(seq_lens=lambda x: x.repeat_interleave(2)[::2]), "contiguous"),
    (dict(query_start=lambda x: x[:-1]), "query_start"),
    (dict(query_start=lambda x: x.long()), "query_start"),
    (dict(query_start=lambda x: x.repeat_interleave(2)[::2]), "contiguous"),
    (dict(out=lambda x: x[:1]), "out"),
    (dict(out=lambda x: x.half()), "out"),
    (dict(out=lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)), "out"),
], ids=lambda value: ", ".join(value) if isinstance(value, dict) else value)
def test_what_does_not_fit_is_refused(wrong, message):
    queries, requests, query_start = case()
    arguments = dict(queries=queries.clone(), key_cache=requests.key_cache.clone(), value_cache=requests.value_cache.clone(),
                     block_tables=requests.block_tables, seq_lens=requests.seq_lens, query_start=query_start, out=torch.zeros_like(queries))
    arguments |= {name: change(arguments[name]) for name, change in wrong.items()}
    with untouched(arguments["out"]), pytest.raises(ValueError, match=message):
        prefill_attention(**arguments)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_must_be_above_0(scale):
    queries, requests, query_start = case()
    with pytest.raises(ValueError, match="scale"):
        prefill_attention(queries, *requests.arguments, query_start, scale=scale)


# Long caches.

@pytest.mark.parametrize("layout", ["in a slot", "heads first"])
@pytest.mark.usefixtures("gigabytes")
def test_beyond_two_to_the_31_numbers(layout):
    """Blocks at the far end of memory that is only spoken for: a page comes into being when it is written to."""
    queries, requests, query_start = case([100, 0, 65], [20, 0, 1], 0, 3, 1, 64, 64, torch.float16)
    key_cache, value_cache = far_end(requests, layout)
    tables = requests.block_tables + (len(key_cache) - len(requests.key_cache))
    check(prefill_attention(queries, key_cache, value_cache, tables, requests.seq_lens, query_start), queries, requests, query_start)


# On a GPU.

@needs_gpu
@each_dtype
def test_a_graph_serves_any_step(dtype):
    """Captured once at the largest shapes; then requests, lengths, blocks and numbers change in place."""
    largest = [1024] * 8
    queries, requests, query_start = case(largest, [64] * 8, 0, 4, 4, 128, 16, dtype)
    out = poisoned(*queries.shape, dtype=dtype)
    graph = captured(lambda: prefill_attention(queries, *requests.arguments, query_start, out=out))
    for seed, (its_lengths, new) in enumerate([(largest, [64] * 8), ([1024] * 8, [1] * 8), ([512] + [0] * 7, [512] + [0] * 7), ([0] * 8, [0] * 8),
                                               ([1, 300, 700, 0, 1024, 5, 64, 0], [1, 300, 1, 0, 17, 5, 64, 0])]):
        padding = 512 - sum(new)
        new_queries, its, its_start = case(its_lengths, new, padding, 4, 4, 128, 16, dtype, seed=seed)
        columns, blocks = its.block_tables.shape[1], len(its.key_cache)
        requests.block_tables.fill_(HOPELESS)[:, :columns] = its.block_tables[:, :requests.block_tables.shape[1]]
        requests.key_cache.fill_(float("nan"))[:blocks], requests.value_cache.fill_(float("nan"))[:blocks] = its.key_cache, its.value_cache
        queries.copy_(new_queries)
        requests.seq_lens.copy_(its.seq_lens)
        query_start.copy_(its_start)
        out.fill_(float("nan"))
        graph.replay()
        check(out, queries, requests, query_start)
        assert out[512 - padding:].isnan().all()


@needs_gpu
def test_nothing_waits_for_the_gpu():
    queries, requests, query_start = case(dtype=torch.bfloat16)
    prefill_attention(queries, *requests.arguments, query_start)      # compiles
    torch.cuda.synchronize()
    with unsynchronised():
        found = prefill_attention(queries, *requests.arguments, query_start)
    check(found, queries, requests, query_start)


# Against vLLM's own kernels. They may read what is behind a request's end, and a request without tokens is none for them.

AS_VLLM_HAS_IT = dict(layout="in a head", unused=0.0, behind=0)
VLLM_CASES = [dict(lengths=[300], new=[300], num_kv_heads=8, group=4, head_dim=128, block_size=16),
              dict(lengths=[1000, 17, 64, 1], new=[100, 1, 64, 1], num_kv_heads=2, group=7, head_dim=64, block_size=16),
              dict(lengths=[3000, 700], new=[1, 700], num_kv_heads=8, group=2, head_dim=128, block_size=64),
              dict(lengths=[257] * 9, new=[1] * 8 + [33], num_kv_heads=4, group=1, head_dim=128, block_size=16)]


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("shape", VLLM_CASES)
@pytest.mark.parametrize("name", ["prefill_attention_fa3", "prefill_attention_triton"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_vllms_kernel_and_ours_are_as_exact_as_torch(dtype, name, shape):
    queries, requests, query_start = case(**shape, dtype=dtype, **AS_VLLM_HAS_IT)
    check(prefill_attention(queries, *requests.arguments, query_start), queries, requests, query_start)
    check(getattr(vllm_kernels, name)(queries, *requests.arguments, query_start, max(shape["new"])), queries, requests, query_start)


@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("shape", VLLM_CASES)
def test_vllms_kernel_and_ours_in_float32(shape):
    """vLLM's multiplies float32 with TF32's 11 bits, which are float16's; ours with all 24."""
    queries, requests, query_start = case(**shape, dtype=torch.float32, **AS_VLLM_HAS_IT)
    check(prefill_attention(queries, *requests.arguments, query_start), queries, requests, query_start)
    vllms = vllm_kernels.prefill_attention_triton(queries, *requests.arguments, query_start, max(shape["new"]))
    check(vllms.half(), queries.half(), requests, query_start)
