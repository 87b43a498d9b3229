"""The judge of the fused add and RMS norm."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, x, residual, weight, eps, what):
    total, weight_before = x + residual, weight.clone()
    wide = total.double()
    right = (wide / (wide.square().mean(-1, keepdim=True) + eps).sqrt() * weight.double()).to(x.dtype)
    answer.fused_add_rms_norm(x, residual, weight, eps)
    assert_close(residual, total, f"{what}, residual, which is to be x + residual", tolerance=0)
    assert_close(x, right, f"{what}, x, which is to be the norm of x + residual")
    assert torch.equal(weight, weight_before), f"{what}: weight was changed"


def test_both_are_written_in_place(answer):
    judge(answer, torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, -6.0]]), torch.tensor([1.0, 2.0]), 1e-6, "one token")


def test_any_size(answer):
    for tokens, n in ((0, 8), (1, 1), (3, 4), (2, 100), (2, 1025), (1, 8192)):
        judge(answer, torch.randn(tokens, n), torch.randn(tokens, n), torch.randn(n), 1e-6, f"{tokens} tokens of {n}")


def test_eps(answer):
    judge(answer, 1e-3 * torch.randn(2, 16), 1e-3 * torch.randn(2, 16), torch.randn(16), 0.01, "eps 0.01")


def test_half_precision(answer):
    for size in (1.0, 300.0):
        x, residual = size * torch.randn(2, 2, 64)
        judge(answer, x.half(), residual.half(), torch.randn(64).half(), 1e-6, f"float16 of size {size}")


def test_layer_after_layer(answer):
    """The residual is a sum over all layers: what is lost of it once is lost for good."""
    total, residual = torch.zeros(1, 48), torch.zeros(1, 48)
    for layer in range(4):
        x, weight = torch.randn(1, 48), torch.ones(48)
        total = total + x
        answer.fused_add_rms_norm(x, residual, weight, 1e-6)
        assert_close(residual, total, f"the residual after {layer + 1} layers")
