"""The judge of vector add."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


def test_the_sum(answer):
    for n in (0, 1, 1000, 1024, 1025, 3000):
        x, y = torch.randn(n), torch.randn(n)
        right = x + y
        assert_close(answer.vector_add(x, y), right, f"n = {n}")


def test_nothing_beyond_the_end_is_read(answer):
    """The vectors are the beginning of longer ones, whose rest is not a number."""
    for n in (1024, 2048):
        x, y = torch.full((2, 4096), float("nan"))
        x[:n], y[:n] = 1, torch.randn(n)
        right = x[:n] + y[:n]
        assert_close(answer.vector_add(x[:n], y[:n]), right, f"the first {n} of 4096")


def test_half_precision(answer):
    x, y = torch.randn(2048).half(), torch.randn(2048).half()
    right = x + y
    assert_close(answer.vector_add(x, y), right, "float16")


def test_the_vectors_stay_as_they_are(answer):
    x, y = torch.randn(1024), torch.randn(1024)
    for name, vector, before in (("x", x, x.clone()), ("y", y, y.clone())):
        answer.vector_add(x, y)
        assert torch.equal(vector, before), f"{name} was changed: the sum belongs into a new vector"
