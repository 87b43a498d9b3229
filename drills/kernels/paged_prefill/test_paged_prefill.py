"""The judge of paged prefill."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def case(requests, heads=2, kv_heads=1, head_dim=16, block_size=4, dtype=torch.float32):
    """Requests (new tokens, all tokens) in blocks in a random order; block 0 is nobody's, and what is beyond the end of a table is 0."""
    needed = [-(-length // block_size) for _, length in requests]
    blocks = (1 + torch.randperm(sum(needed))).to(torch.int32).split(needed)
    tables = torch.zeros(len(requests), max(needed), dtype=torch.int32)
    for row, (mine, number) in enumerate(zip(blocks, needed)):
        tables[row, :number] = mine
    shape = (1 + sum(needed), block_size, kv_heads, head_dim)
    new = torch.tensor([0] + [new for new, _ in requests])
    return (torch.randn(int(new.sum()), heads, head_dim).to(dtype), torch.randn(shape).to(dtype), torch.randn(shape).to(dtype), tables,
            torch.tensor([length for _, length in requests], dtype=torch.int32), new.cumsum(0).int(), int(new.max()))


def oracle(queries, key_cache, value_cache, block_tables, seq_lens, query_start_loc, _):
    """Token by token: each sees what its request has up to and with itself."""
    out = torch.zeros(queries.shape, dtype=torch.float64)
    group, block_size = queries.shape[1] // key_cache.shape[2], key_cache.shape[1]
    for request, length in enumerate(seq_lens.tolist()):
        slots = [(int(block_tables[request, token // block_size]), token % block_size) for token in range(length)]
        keys, values = (torch.stack([cache[slot] for slot in slots]).double().repeat_interleave(group, dim=1) for cache in (key_cache, value_cache))
        start, end = query_start_loc[request:request + 2].tolist()
        for row in range(start, end):
            seen = length - (end - row) + 1
            scores = torch.einsum("hd,thd->ht", queries[row].double(), keys[:seen]) * queries.shape[2] ** -0.5
            out[row] = torch.einsum("ht,thd->hd", scores.softmax(-1), values[:seen])
    return out.to(queries.dtype)


def judge(answer, inputs, what, tolerance=1e-4):
    assert_close(answer.paged_prefill(*inputs), oracle(*inputs), what, tolerance)


def told(requests):
    return "requests of " + ", ".join(f"{new} new tokens of {length}" for new, length in requests)


def test_one_request(answer):
    for length in (1, 2, 16, 17, 35):
        judge(answer, case([(length, length)]), f"{length} tokens, none of them cached")


def test_behind_a_cached_prefix(answer):
    for requests in ([(1, 2)], [(2, 3)], [(5, 20)], [(17, 33)], [(4, 50)]):
        judge(answer, case(requests), told(requests))


def test_a_mixed_batch(answer):
    """Decodes, prefills, chunks and a request that has nothing to do in this step, in any order."""
    for requests in ([(2, 2), (1, 3)], [(1, 5), (1, 1), (1, 18)], [(1, 20), (18, 18), (0, 12), (7, 25), (1, 1)], [(3, 9), (0, 4)]):
        judge(answer, case(requests), told(requests))


def test_chunks_make_the_whole(answer):
    """A prompt in chunks gives what it gives in one piece."""
    inputs = case([(30, 30)])
    queries, key_cache, value_cache, tables, _, _, _ = inputs
    for size in (7, 16):
        parts = []
        for start in range(0, 30, size):
            new = min(size, 30 - start)
            parts.append(answer.paged_prefill(queries[start:start + new], key_cache, value_cache, tables, torch.tensor([start + new], dtype=torch.int32),
                                              torch.tensor([0, new], dtype=torch.int32), new))
        assert_close(torch.cat(parts), oracle(*inputs), f"30 tokens in chunks of {size}", 1e-4)


def test_what_nobody_has_written_is_not_a_number(answer):
    for requests in ([(3, 5)], [(1, 9), (17, 22), (2, 2)]):
        inputs = case(requests)
        _, key_cache, value_cache, tables, _, _, _ = inputs
        right = oracle(*inputs)
        used = torch.zeros(key_cache.shape[:2], dtype=torch.bool)
        for row, (_, length) in enumerate(requests):
            for token in range(length):
                used[tables[row, token // 4], token % 4] = True
        key_cache[~used] = value_cache[~used] = float("nan")
        assert_close(answer.paged_prefill(*inputs), right, f"{told(requests)}, all other slots NaN", 1e-4)


def test_other_shapes(answer):
    for heads, kv_heads, head_dim, block_size in ((1, 1, 16, 4), (4, 2, 8, 3), (2, 2, 24, 16), (3, 1, 64, 1)):
        judge(answer, case([(3, 7), (1, 9)], heads, kv_heads, head_dim, block_size),
              f"{heads} query heads on {kv_heads} KV heads of {head_dim}, blocks of {block_size}")


def test_half_precision(answer):
    judge(answer, case([(6, 20), (1, 3)], dtype=torch.float16), "float16", 4e-3)
