"""The judge of cascade attention."""
import math
import random

import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

HEADS, SIZE = 3, 8


def request_batch(answer, block_size, shared, own, seed=0, sharpness=1.0):
    """Requests with `shared` blocks in common and own[i] tokens behind them; blocks in no order, NaN where nobody wrote."""
    generator, shuffle = torch.Generator().manual_seed(seed), random.Random(seed)
    own_blocks = [-(-tokens // block_size) for tokens in own]
    ids = list(range(2 + shared + sum(own_blocks)))
    shuffle.shuffle(ids)
    first, tables = [ids.pop() for _ in range(shared)], []
    for blocks in own_blocks:
        tables.append(first + [ids.pop() for _ in range(blocks)])
    seq_lens = [shared * block_size + tokens for tokens in own]
    key, value = torch.full((2, 2 + shared + sum(own_blocks), block_size, HEADS, SIZE), float("nan"))
    for table, seq_len in zip(tables, seq_lens):
        for position in range(seq_len):
            for pages in (key, value):
                slot = pages[table[position // block_size], position % block_size]
                if slot.isnan().any():
                    slot.copy_(torch.randn(HEADS, SIZE, generator=generator))
    query = sharpness * torch.randn(len(own), HEADS, SIZE, generator=generator)
    return query, answer.KVCache(key, value), tables, seq_lens


def plain(query, cache, tables, seq_lens, scale):
    """Every request for itself, in double precision."""
    rows = []
    for q, table, seq_len in zip(query.double(), tables, seq_lens):
        key, value = (pages[table].flatten(0, 1)[:seq_len].double() for pages in (cache.key, cache.value))
        rows.append(torch.einsum("hk,khd->hd", (scale * torch.einsum("hd,khd->hk", q, key)).softmax(1), value))
    return torch.stack(rows).float()


def check(answer, block_size, shared, own, sharpness=1.0, why=""):
    query, cache, tables, seq_lens = request_batch(answer, block_size, shared, own, sharpness=sharpness)
    right = plain(query, cache, tables, seq_lens, 0.35)
    before = query.clone(), [list(table) for table in tables]
    got = answer.cascade_attention(query, cache, tables, seq_lens, 0.35)
    assert_close(got, right, f"blocks of {block_size}, {shared} of them shared, {own} tokens behind them{why}", 1e-4)
    assert torch.equal(query, before[0]) and tables == before[1], "queries and block tables are not yours to change"


def test_the_same_as_plain_attention(answer):
    for block_size, shared, own in ((1, 1, [1]), (4, 0, [5]), (1, 2, [1, 3]), (4, 1, [1, 2]), (4, 3, [4, 1, 9]), (16, 2, [5, 17, 16, 1]),
                                    (3, 5, [1, 1, 1, 2, 7])):
        check(answer, block_size, shared, own)


def test_nothing_is_shared(answer):
    for own in ([3, 4], [1, 1, 8]):
        check(answer, 4, 0, own, why=": no block is common, the part over the prefix has no keys")


def test_nothing_is_left(answer):
    for own in ([0, 0], [0, 3], [2, 0, 0, 5]):
        check(answer, 4, 2, own, why=": a request without keys of its own has its output from the prefix alone")


def test_sharp_scores(answer):
    """Scores of some hundreds, whose exponentials are beyond float32."""
    check(answer, 4, 2, [3, 9, 1], sharpness=200.0, why=", scores of several hundred: subtract the larger of the two before the exponential")
    check(answer, 4, 0, [3, 9], sharpness=200.0, why=", scores of several hundred, nothing shared")


def test_how_many_are_common(answer):
    for tables, seq_lens, right, why in (
            ([[7, 3, 5]], [9], 2, "one request alone shares all blocks that it fills, 9 // 4 = 2"),
            ([[7, 3, 5], [7, 3, 6]], [9, 12], 2, "the third is another one"),
            ([[7, 3], [2, 3]], [8, 8], 0, "the first differs: an equal block behind it was written behind another prefix"),
            ([[7, 3, 5], [7, 3, 5]], [12, 6], 1, "both tables have three blocks, but a sequence of 6 fills one of 4"),
            ([[7, 3], [7, 3]], [3, 8], 0, "a sequence of 3 does not fill its block"),
            ([[7], [7, 3]], [4, 8], 1, "the shorter one ends after its first block")):
        got = answer.num_common_blocks(tables, seq_lens, 4)
        assert got == right, f"block tables {tables}, lengths {seq_lens}, blocks of 4: got {got}, expected {right}: {why}"


def test_a_sequence_that_ends_within_the_shared_blocks(answer):
    """Two samples of one prompt, the second one without the last block of the first, and shorter."""
    query, cache, tables, seq_lens = request_batch(answer, 4, 3, [2, 0])
    seq_lens[1] = 6
    right = plain(query, cache, tables, seq_lens, 0.35)
    got = answer.cascade_attention(query, cache, tables, seq_lens, 0.35)
    assert_close(got, right, "sequences of 14 and 6 tokens with three blocks of 4 in common: the second one must see 6 keys and not 12", 1e-4)


def test_the_prefix_is_read_once(answer):
    for block_size, shared, own in ((4, 10, [3, 1, 4, 2]), (2, 1, [1, 1]), (4, 6, [0, 0, 0]), (4, 0, [3, 9])):
        query, cache, tables, seq_lens = request_batch(answer, block_size, shared, own)
        answer.cascade_attention(query, cache, tables, seq_lens, 0.35)
        rest = sum(-(-tokens // block_size) for tokens in own)
        assert cache.blocks_read <= shared + rest, (
            f"{len(own)} requests share {shared} blocks and have {rest} of their own: {cache.blocks_read} blocks are read, {shared + rest} are enough")
        assert cache.blocks_read == shared + rest, f"only {cache.blocks_read} of {shared + rest} blocks are read: go through cache.read"


def test_the_prefix_is_multiplied_once(answer):
    """By the record of operations: the numbers that go into matrix products."""
    query, cache, tables, seq_lens = request_batch(answer, 8, 8, [1] * 16)
    with torch.autograd.profiler.profile(record_shapes=True) as profile:
        answer.cascade_attention(query, cache, tables, seq_lens, 0.35)
    numbers = sum(math.prod(shape) for event in profile.function_events if event.name in ("aten::mm", "aten::bmm") for shape in event.input_shapes[:2])
    one_by_one = sum(seq_lens) * 2 * HEADS * SIZE
    assert numbers < one_by_one / 2, (
        f"16 requests share 64 keys: {numbers} numbers go into the matrix products, where {one_by_one} are the keys and values request by request. "
        "The queries of all requests belong into one product with the shared keys")
