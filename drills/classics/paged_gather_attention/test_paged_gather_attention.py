"""The judge of paged gather attention."""
import tracemalloc

import numpy as np

SIZE = 4
NOWHERE = 10**6     # a block that does not exist


def problem(num_tokens, block_size, heads=1, kv_heads=1, num_blocks=None, dtype=np.float32, seed=0):
    """A request in scattered blocks. What belongs to nobody is NaN; the table goes on behind its end, to nowhere."""
    random = np.random.default_rng(seed)
    needed = -(-num_tokens // block_size)
    num_blocks = num_blocks or needed + 3
    caches = np.full((2, num_blocks, block_size, kv_heads, SIZE), np.nan, dtype=dtype)
    contiguous = random.normal(size=(2, num_tokens, kv_heads, SIZE)).astype(dtype)
    table = np.concatenate([random.permutation(num_blocks)[:needed], [NOWHERE, -1]]).astype(np.int32)
    for position in range(num_tokens):
        caches[:, table[position // block_size], position % block_size] = contiguous[:, position]
    query = random.normal(size=(heads, SIZE)).astype(dtype)
    return query, caches, table, contiguous


def right_attention(query, keys, values, scale):
    """Head by head, in float64."""
    out = np.zeros(query.shape)
    for head in range(len(query)):
        kv_head = head // (len(query) // keys.shape[1])
        scores = scale * keys[:, kv_head].astype(np.float64) @ query[head].astype(np.float64)
        weights = np.exp(scores - scores.max())
        out[head] = weights @ values[:, kv_head].astype(np.float64) / weights.sum()
    return out


def check(answer, num_tokens, block_size, scale=0.5, factor=1.0, **shape):
    query, caches, table, (keys, values) = problem(num_tokens, block_size, **shape)
    query = query * query.dtype.type(factor)
    before = [query.copy(), caches.copy(), table.copy()]
    with np.errstate(all="ignore"):
        got = answer.paged_attention(query, caches[0], caches[1], table, num_tokens, scale)
    what = f"{num_tokens} tokens in blocks of {block_size}, {shape or 'one head'}"
    right = right_attention(query, keys, values, scale)
    assert got.shape == right.shape, f"{what}: the shape is {got.shape}, should be {right.shape}"
    assert got.dtype == np.float32, f"{what}: the dtype is {got.dtype}, should be float32"
    assert not np.isnan(got).any(), f"{what}: NaN: a slot was read that does not belong to the request"
    wrong = np.abs(got - right).max(axis=1)
    assert (wrong < 1e-4).all(), f"{what}, scale {scale}: head {wrong.argmax()} is {got[wrong.argmax()]}, should be {right[wrong.argmax()]}"
    for old, new in zip(before, (query, caches, table)):
        assert np.array_equal(old, new, equal_nan=old.dtype != np.int32), f"{what}: the inputs have been changed"


def test_one_token(answer):
    check(answer, 1, 1)


def test_whole_blocks(answer):
    for num_tokens, block_size in ((2, 2), (6, 2), (12, 4)):
        check(answer, num_tokens, block_size)


def test_the_last_block_is_not_full(answer):
    for num_tokens, block_size in ((1, 2), (3, 2), (7, 4), (33, 16)):
        check(answer, num_tokens, block_size, seed=num_tokens)


def test_heads_share_keys(answer):
    """Grouped-query attention: neighbouring heads share a key/value head."""
    for heads, kv_heads in ((2, 2), (4, 2), (6, 2), (8, 1)):
        check(answer, 5, 4, heads=heads, kv_heads=kv_heads)


def test_the_scale(answer):
    for scale in (1.0, 0.125, 2.0):
        check(answer, 5, 4, scale=scale)


def test_big_scores(answer):
    check(answer, 9, 4, factor=1000.0)


def test_half_precision_caches(answer):
    check(answer, 21, 8, heads=4, kv_heads=2, dtype=np.float16)


def test_no_token(answer):
    query, caches, table, _ = problem(0, 4)
    got = answer.paged_attention(query, caches[0], caches[1], table, 0, 0.5)
    assert got.shape == query.shape and not got.any(), f"no token: there is nothing to attend to, the output is zeros, not {got}"


def test_only_the_blocks_of_the_request_are_touched(answer):
    """The cache is as large as the memory: nobody can copy or convert it."""
    query, caches, table, _ = problem(40, 16, num_blocks=2000, dtype=np.float16)
    tracemalloc.start()
    try:
        answer.paged_attention(query, caches[0], caches[1], table, 40, 0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < caches[0].nbytes / 4, f"{peak} bytes were allocated for a request of 40 tokens: the cache has {caches[0].nbytes}, of which it needs 3 blocks"
