"""The judge of paged decode."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def case(seq_lens, heads=4, kv_heads=2, head_dim=16, block_size=4, dtype=torch.float32):
    """Requests in blocks in a random order; block 0 is nobody's, and what is beyond the end of a table is 0."""
    needed = [-(-length // block_size) for length in seq_lens]
    blocks = (1 + torch.randperm(sum(needed))).to(torch.int32).split(needed)
    tables = torch.zeros(len(seq_lens), max([*needed, 1]), dtype=torch.int32)
    for row, (mine, number) in enumerate(zip(blocks, needed)):
        tables[row, :number] = mine
    shape = (1 + sum(needed), block_size, kv_heads, head_dim)
    return (torch.randn(len(seq_lens), heads, head_dim).to(dtype), torch.randn(shape).to(dtype), torch.randn(shape).to(dtype), tables,
            torch.tensor(seq_lens, dtype=torch.int32))


def oracle(queries, key_cache, value_cache, block_tables, seq_lens):
    """Request by request, head by head."""
    out = torch.zeros(queries.shape, dtype=torch.float64)
    group, block_size = queries.shape[1] // key_cache.shape[2], key_cache.shape[1]
    for row, length in enumerate(seq_lens.tolist()):
        slots = [(int(block_tables[row, token // block_size]), token % block_size) for token in range(length)]
        for head in range(queries.shape[1] if slots else 0):
            keys = torch.stack([key_cache[slot][head // group] for slot in slots]).double()
            values = torch.stack([value_cache[slot][head // group] for slot in slots]).double()
            out[row, head] = (keys @ queries[row, head].double() * queries.shape[2] ** -0.5).softmax(0) @ values
    return out.to(queries.dtype)


def judge(answer, inputs, what, tolerance=1e-4):
    assert_close(answer.paged_decode(*inputs), oracle(*inputs), what, tolerance)


def test_any_lengths(answer):
    for seq_lens in ([1], [4], [3], [], [5, 1], [8, 2, 17], [70]):
        judge(answer, case(seq_lens), f"requests of {seq_lens} tokens in blocks of 4")


def test_a_request_without_tokens(answer):
    """A row of padding: its result is 0, and the others are as if it were not there."""
    for seq_lens in ([0], [3, 0, 6]):
        judge(answer, case(seq_lens), f"requests of {seq_lens} tokens")


def test_query_heads_share_kv_heads(answer):
    for heads, kv_heads in ((1, 1), (2, 2), (3, 1), (6, 2), (7, 1), (16, 1)):
        judge(answer, case([6, 3], heads=heads, kv_heads=kv_heads), f"{heads} query heads on {kv_heads} KV heads")


def test_any_block_size_and_head_dim(answer):
    for block_size, head_dim in ((1, 16), (3, 8), (16, 24), (48, 64)):
        judge(answer, case([37, 2], block_size=block_size, head_dim=head_dim), f"blocks of {block_size}, heads of {head_dim}")


def test_what_nobody_has_written_is_not_a_number(answer):
    """Unused slots hold anything: those of the last block, and block 0, to which the rest of a table points."""
    for seq_lens in ([5], [9, 2, 30]):
        queries, key_cache, value_cache, block_tables, lengths = case(seq_lens)
        right = oracle(queries, key_cache, value_cache, block_tables, lengths)
        used = torch.zeros(key_cache.shape[:2], dtype=torch.bool)
        for row, length in enumerate(seq_lens):
            for token in range(length):
                used[block_tables[row, token // 4], token % 4] = True
        key_cache[~used] = value_cache[~used] = float("nan")
        got = answer.paged_decode(queries, key_cache, value_cache, block_tables, lengths)
        assert not got.isnan().any(), (
            f"requests of {seq_lens} tokens: a slot beyond the end was read; it is NaN here, and 0 * NaN is NaN, whatever the mask of the scores")
        assert_close(got, right, f"requests of {seq_lens} tokens, all other slots NaN", 1e-4)


def test_large_scores(answer):
    inputs = case([40, 3])
    inputs[0][:] *= 100
    judge(answer, inputs, "scores of some hundreds", 1e-3)


def test_half_precision(answer):
    judge(answer, case([33, 5], heads=6, dtype=torch.float16), "float16", 4e-3)


def test_entries_beyond_the_end_mean_nothing(answer):
    """Nobody clears a table: what is left in it leads to blocks that are no longer there. The last test, since a GPU does not survive it."""
    queries, key_cache, value_cache, block_tables, lengths = case([8, 4, 32], heads=2)
    for row, length in enumerate(lengths.tolist()):
        block_tables[row, -(-length // 4):] = 2 ** 31 - 1
    right = oracle(queries, key_cache, value_cache, block_tables, lengths)
    assert_close(answer.paged_decode(queries, key_cache, value_cache, block_tables, lengths), right, "tables with 2147483647 beyond the end", 1e-4)
