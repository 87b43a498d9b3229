"""The judge of the rotary position embedding."""
import math

import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch: make setup")

LONG = 100_000
FLOAT32_ANGLE = 2 ** -7     # what is left of an angle of 100,000 radians in float32: allowed


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def at(answer, vector, position, cache):
    """One vector at one position."""
    return answer.rotate(vector[None, None], torch.tensor([position]), cache)[0, 0]


def test_the_table(answer):
    for rotary_dim, base in ((2, 10_000.0), (8, 10_000.0), (6, 500.0)):
        cache = answer.cos_sin_cache(rotary_dim, 20, base)
        angles = torch.tensor([[position * base ** (-2 * pair / rotary_dim) for pair in range(rotary_dim // 2)] for position in range(20)],
                              dtype=torch.float64)
        right = torch.cat([angles.cos(), angles.sin()], 1).float()
        assert_close(cache, right, f"rotary_dim {rotary_dim}, base {base}: pair i turns by position * base ** (-2 i / rotary_dim)", 1e-5)


def test_the_table_at_long_positions(answer):
    cache = answer.cos_sin_cache(16, LONG)
    for position in (65_537, LONG - 1):
        for pair in range(8):
            angle = position * 10_000.0 ** (-2 * pair / 16)
            got = cache[position, pair].item(), cache[position, 8 + pair].item()
            error = abs(complex(*got) - complex(math.cos(angle), math.sin(angle)))
            assert error < FLOAT32_ANGLE, (f"position {position}, pair {pair}: cos and sin are {got}, {error:.2g} away from those of {angle:.4f}: "
                                           "an angle needs at least float32, whatever the dtype of the model")


def test_what_is_a_pair(answer):
    """Numbers i and i + 4 of 8 are a pair."""
    cache = answer.cos_sin_cache(8, 10)
    for i in range(4):
        x = torch.zeros(8)
        x[i] = 1
        got = at(answer, x, 3, cache)
        angle = 3 * 10_000.0 ** (-i / 4)
        right = torch.zeros(8)
        right[i], right[i + 4] = math.cos(angle), math.sin(angle)
        assert_close(got, right, f"a one at {i}, the rest zero, at position 3: it turns towards its partner {i + 4} (NeoX pairing)", 1e-5)


def test_the_score_depends_on_the_distance_only(answer):
    size = 32
    cache = answer.cos_sin_cache(size, LONG)
    query, key = random(2, size, seed=1)
    query, key = query / query.norm(), (query + key) / (query + key).norm()
    for distance in (0, 1, 7, 1000):
        near = (at(answer, query, distance, cache) @ at(answer, key, 0, cache)).item()
        for position in (distance + 1, 2048, 50_001, LONG - 1):
            score = (at(answer, query, position, cache) @ at(answer, key, position - distance, cache)).item()
            assert abs(score - near) < 2 * FLOAT32_ANGLE, (
                f"query at {position}, key at {position - distance}: score {score:.4f}; at {distance} and 0: {near:.4f}. The same distance, the same score")
    far, near = ((at(answer, query, 100 + d, cache) @ at(answer, key, 100, cache)).item() for d in (1000, 1))
    assert abs(far - near) > 0.05, f"distance 1 and distance 1000 both give {near:.4f}: where is the position?"


def test_the_length_stays(answer):
    x = random(6, 3, 16, seed=2)
    positions = torch.tensor([0, 1, 2, 77, 499, 500])
    before = x.clone()
    got = answer.rotate(x, positions, answer.cos_sin_cache(16, 501))
    assert_close(got.norm(dim=2), before.norm(dim=2), "a turn changes no length", 1e-5)
    assert torch.equal(x, before), "the input is not yours to change"
    assert torch.equal(got[0], x[0]), "position 0 turns by nothing"


def test_positions_are_not_rows(answer):
    """A batch of decodes and a prefill: the positions are any numbers in any order."""
    x, cache = random(7, 2, 8, seed=3), answer.cos_sin_cache(8, 1000)
    positions = torch.tensor([900, 5, 5, 0, 1, 2, 999])
    got = answer.rotate(x, positions, cache)
    right = torch.stack([torch.stack([at(answer, x[i, head], positions[i].item(), cache) for head in range(2)]) for i in range(7)])
    assert_close(got, right, f"7 tokens at positions {positions.tolist()}, each compared with itself alone", 1e-6)


def test_a_part_of_the_head(answer):
    x, cache = random(4, 2, 12, seed=4), answer.cos_sin_cache(8, 50)
    positions = torch.tensor([3, 49, 0, 20])
    got = answer.rotate(x, positions, cache)
    assert got.shape == x.shape, f"a head of 12, of which 8 are turned, stays a head of 12: expected {list(x.shape)}, got {list(got.shape)}"
    assert torch.equal(got[..., 8:], x[..., 8:]), "what lies behind rotary_dim passes through"
    assert_close(got[..., :8], answer.rotate(x[..., :8].clone(), positions, cache), "the first 8 are turned as if they were the head", 1e-6)


def test_bfloat16_is_rounded_once(answer):
    x, positions = random(64, 2, 16, seed=5).bfloat16(), torch.arange(0, 640, 10)
    cache = answer.cos_sin_cache(16, 640)
    right = answer.rotate(x.float(), positions, cache)
    got = answer.rotate(x, positions, cache)
    assert got.dtype == torch.bfloat16, f"bfloat16 in, bfloat16 out, got {got.dtype}"
    assert_close(got, right.bfloat16(), "computed in float32 and rounded once, at the end", 2 ** -8)


def test_nothing_to_turn(answer):
    got = answer.rotate(torch.zeros(0, 2, 8), torch.zeros(0, dtype=torch.int64), answer.cos_sin_cache(8, 4))
    assert got.shape == (0, 2, 8), f"no tokens: expected an empty tensor [0, 2, 8], got {list(got.shape)}"
