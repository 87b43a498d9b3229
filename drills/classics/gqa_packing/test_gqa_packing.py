"""The judge of packing for grouped-query attention."""
import math

import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

SHAPES = [(1, 1, 1), (1, 3, 1), (1, 4, 2), (2, 2, 2), (2, 3, 1), (3, 6, 2), (5, 15, 3), (4, 14, 2), (3, 7, 7), (2, 35, 5)]    # tokens, heads, KV heads


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def head_by_head(query, key, value, scale):
    """Every query head for itself, in double precision."""
    num_tokens, num_heads, _ = query.shape
    num_keys, num_kv_heads, _ = key.shape
    out = torch.empty(query.shape, dtype=torch.float64)
    for head in range(num_heads):
        k, v = (each[:, head // (num_heads // num_kv_heads)].double() for each in (key, value))
        for i in range(num_tokens):
            seen = num_keys - num_tokens + i + 1
            out[i, head] = (scale * k[:seen] @ query[i, head].double()).softmax(0) @ v[:seen]
    return out.float()


def products(function):
    """How many matrix products there are in a call, and how many numbers go into them."""
    with torch.autograd.profiler.profile(record_shapes=True) as profile:
        function()
    inputs = [[shape for shape in event.input_shapes if shape][-2:] for event in profile.function_events
              if event.name in {f"aten::{name}" for name in ("mm", "bmm", "addmm", "baddbmm", "mv", "dot")}]
    return len(inputs), sum(math.prod(shape) for shapes in inputs for shape in shapes)


def test_which_row_is_whose(answer):
    for num_tokens, num_heads, num_kv_heads in SHAPES:
        group = num_heads // num_kv_heads
        query = torch.arange(num_tokens * num_heads, dtype=torch.float32).view(num_tokens, num_heads, 1).repeat(1, 1, 2)
        packed = answer.pack(query, num_kv_heads)
        assert packed.shape == (num_kv_heads, num_tokens * group, 2), (
            f"{num_tokens} tokens, {num_heads} heads over {num_kv_heads} KV heads: expected [{num_kv_heads}, {num_tokens * group}, 2], "
            f"got {list(packed.shape)}")
        for kv_head in range(num_kv_heads):
            for row in range(num_tokens * group):
                token, head = row // group, kv_head * group + row % group
                number = int(packed[kv_head, row, 0])
                assert number == token * num_heads + head, (
                    f"{num_tokens} tokens, {num_heads} heads over {num_kv_heads} KV heads: row {row} of KV head {kv_head} is head {head} of token {token}, "
                    f"got head {number % num_heads} of token {number // num_heads}")


def test_there_and_back(answer):
    for num_tokens, num_heads, num_kv_heads in [*SHAPES, (0, 6, 2)]:
        query = random(num_tokens, num_heads, 4)
        before = query.clone()
        back = answer.unpack(answer.pack(query, num_kv_heads), num_heads)
        assert back.shape == query.shape and torch.equal(back, before), (
            f"{num_tokens} tokens, {num_heads} heads over {num_kv_heads} KV heads: unpack(pack(query)) is not query")
        assert torch.equal(query, before), "the query is not yours to change"


def test_the_same_as_head_by_head(answer):
    for num_tokens, num_heads, num_kv_heads in SHAPES:
        for more in (0, 1, 6):
            query = random(num_tokens, num_heads, 8, seed=1)
            key, value = random(2, num_tokens + more, num_kv_heads, 8, seed=2)
            before = key.clone(), value.clone()
            got = answer.attention(query, key, value, 0.3)
            assert_close(got, head_by_head(query, key, value, 0.3),
                         f"{num_tokens} query tokens behind {more} cached ones, {num_heads} heads over {num_kv_heads} KV heads", 1e-5)
            assert torch.equal(key, before[0]) and torch.equal(value, before[1]), "keys and values are not yours to change"


def test_every_query_sees_its_own_past_only(answer):
    """Another last key and value reach the last token alone; the next head of a group is not the next token."""
    query, (key, value) = random(3, 6, 4, seed=3), random(2, 5, 2, 4, seed=4)
    right = head_by_head(query, key, value, 0.5)
    key[4], value[4] = 100 * random(2, 2, 4, seed=5)
    got = answer.attention(query, key, value, 0.5)
    assert_close(got[:2], right[:2], "another last token changes what the tokens before it see", 1e-5)


def test_keys_are_read_once_per_group(answer):
    for num_heads, num_kv_heads in ((7, 1), (20, 4)):
        query, (key, value) = random(1, num_heads, 16, seed=6), random(2, 200, num_kv_heads, 16, seed=7)
        calls, numbers = products(lambda: answer.attention(query, key, value, 0.25))
        least = key.numel() + value.numel() + query.numel() + 200 * num_heads
        assert numbers <= 1.5 * least, (
            f"{num_heads} heads over {num_kv_heads} KV heads, 200 keys: {numbers} numbers go into the matrix products, {least} are enough: keys and "
            f"values are needed once per KV head, not once for each of its {num_heads // num_kv_heads} query heads")
        assert calls <= 2 * num_kv_heads, f"{calls} matrix products for {num_kv_heads} KV heads: two each, for the scores and for the values"


def test_heads_that_do_not_divide(answer):
    for num_heads, num_kv_heads in ((3, 2), (1, 2)):
        with pytest.raises(ValueError):
            answer.pack(random(2, num_heads, 4), num_kv_heads)
