"""The judge of rotary positions."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def table(positions, head_dim, dtype=torch.float32):
    """[positions, head_dim]: cosines, then sines."""
    angles = torch.arange(positions)[:, None] * 100 ** (-torch.arange(head_dim // 2) / (head_dim // 2))
    return torch.cat((angles.cos(), angles.sin()), dim=1).to(dtype)


def turned(x, positions, cos_sin_cache):
    cos, sin = cos_sin_cache.double()[positions].unsqueeze(1).chunk(2, dim=-1)
    a, b = x.double().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


def judge(answer, positions, query, key, cos_sin_cache, what):
    right = turned(query, positions, cos_sin_cache), turned(key, positions, cos_sin_cache)
    before = positions.clone(), cos_sin_cache.clone()
    answer.rope(positions, query, key, cos_sin_cache)
    assert_close(query, right[0], f"{what}, query")
    assert_close(key, right[1], f"{what}, key")
    assert torch.equal(positions, before[0]) and torch.equal(cos_sin_cache, before[1]), f"{what}: positions or the table were changed"


def test_one_point(answer):
    """A head of 2 numbers turned by cos 0.6 and sin 0.8: (1, 0) becomes (0.6, 0.8)."""
    judge(answer, torch.tensor([0]), torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]]), torch.tensor([[0.6, 0.8]]), "one point")


def test_number_i_turns_with_number_i_plus_half(answer):
    """One token at position 1 of 3, D = 4: the numbers 1, 2, 3, 4 are the points (1, 3) and (2, 4)."""
    query, key = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), torch.tensor([[[5.0, 6.0, 7.0, 8.0]]])
    judge(answer, torch.tensor([1]), query, key, table(3, 4), "1 2 3 4 at position 1")


def test_the_position_chooses_the_angle(answer):
    """Tokens of several requests: positions in any order, twice the same, the last of the table."""
    positions = torch.tensor([7, 0, 3, 3, 30])
    judge(answer, positions, torch.randn(5, 2, 2), torch.randn(5, 2, 2), table(31, 2), "5 tokens at positions 7, 0, 3, 3, 30")


def test_any_number_of_heads_and_any_size(answer):
    for tokens, heads, kv_heads, head_dim in ((0, 2, 1, 4), (1, 4, 2, 8), (2, 3, 1, 16), (3, 5, 5, 6), (2, 7, 2, 80), (1, 32, 8, 128)):
        positions = torch.randint(50, (tokens,))
        judge(answer, positions, torch.randn(tokens, heads, head_dim), torch.randn(tokens, kv_heads, head_dim), table(50, head_dim),
              f"{tokens} tokens, {heads} heads, {kv_heads} KV heads, D = {head_dim}")


def test_half_precision(answer):
    query, key = torch.randn(2, 2, 64).half(), torch.randn(2, 1, 64).half()
    judge(answer, torch.tensor([9, 2]), query, key, table(10, 64, torch.float16), "float16")
