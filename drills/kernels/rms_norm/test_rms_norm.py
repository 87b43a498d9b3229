"""The judge of RMS norm."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, x, weight, eps, what):
    wide, before = x.double(), (x.clone(), weight.clone())
    right = (wide / (wide.square().mean(-1, keepdim=True) + eps).sqrt() * weight.double()).to(x.dtype)
    assert_close(answer.rms_norm(x, weight, eps), right, what)
    assert torch.equal(x, before[0]) and torch.equal(weight, before[1]), f"{what}: x or weight was changed: the result belongs into a new tensor"


def test_rows_that_fill_a_block(answer):
    for tokens, n in ((0, 4), (1, 1), (2, 4), (3, 1024), (1, 8192)):
        judge(answer, torch.randn(tokens, n) + 1, torch.randn(n), 1e-12, f"{tokens} tokens of {n}")


def test_rows_of_any_length(answer):
    """The mean is over the row: a block that is longer than it changes nothing."""
    for tokens, n in ((2, 3), (3, 100), (2, 1025), (1, 5120)):
        judge(answer, torch.randn(tokens, n), torch.randn(n), 1e-12, f"{tokens} tokens of {n}")


def test_eps_is_added_to_the_mean_of_the_squares(answer):
    """It shows when x is small; a token of zeros stays one."""
    x = torch.tensor([[0.001, 0.002, -0.001, 0.003], [0.0, 0.0, 0.0, 0.0]])
    for eps in (1e-6, 1e-5, 0.1):
        judge(answer, x, torch.tensor([1.0, 2.0, 3.0, 4.0]), eps, f"eps {eps}")


def test_half_precision(answer):
    """In float16 the square of 300 is infinite, and that of 0.0001 is 0."""
    for size in (1.0, 300.0, 1e-4):
        judge(answer, (size * torch.randn(2, 64)).half(), torch.randn(64).half(), 1e-12, f"float16 of size {size}")
