"""The judge of flash attention."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def oracle(q, k, v):
    """The whole matrix of scores at once, in float64."""
    length, head_dim = q.shape[1:]
    scores = q.double() @ k.double().transpose(1, 2) * head_dim ** -0.5
    scores.masked_fill_(~torch.ones(length, length, dtype=torch.bool).tril(), -float("inf"))
    return (scores.softmax(-1) @ v.double()).to(q.dtype)


def judge(answer, q, k, v, what, tolerance=1e-4):
    assert_close(answer.flash_attention(q, k, v), oracle(q, k, v), what, tolerance)


def test_any_length(answer):
    for heads, length in ((1, 1), (0, 3), (2, 0), (2, 2), (3, 15), (2, 16), (2, 17), (1, 33), (2, 45)):
        judge(answer, *torch.randn(3, heads, length, 16), f"{heads} heads, {length} tokens")


def test_many_tiles(answer):
    """With the keys that matter late, in the middle and early."""
    for length, best in ((130, 129), (150, 70), (200, 0)):
        q, k, v = torch.randn(3, 1, length, 16)
        q[..., 0] = 4
        k[0, best, 0] = 8
        judge(answer, q, k, v, f"{length} tokens, the best key is that of token {best}")


def test_nobody_sees_the_future(answer):
    """A later token changes, and what was before it must not."""
    q, k, v = torch.randn(3, 1, 40, 16)
    before = answer.flash_attention(q, k, v)
    k[:, 20:], v[:, 20:] = 9, 100
    after = answer.flash_attention(q, k, v)
    changed = (before != after).any(dim=-1)[0].nonzero().flatten().tolist()
    assert not changed or changed[0] >= 20, f"the keys and values of token 20 and later changed, and with them the result of token {changed[0]}"


def test_any_head_dim(answer):
    for head_dim in (1, 8, 24, 64):
        judge(answer, *torch.randn(3, 2, 19, head_dim), f"2 heads of {head_dim}, 19 tokens")


def test_large_scores(answer):
    """exp of a score of 400 is more than float32 holds; that of -400 is 0, for whole tiles."""
    for sign in (1, -1):
        q, k, v = torch.randn(3, 1, 70, 16)
        q[..., 0], k[..., 0] = 40, sign * 40
        judge(answer, q, k, v, f"scores around {sign * 400}", 1e-3)


def test_half_precision(answer):
    judge(answer, *torch.randn(3, 2, 50, 32).half(), "float16", 4e-3)
