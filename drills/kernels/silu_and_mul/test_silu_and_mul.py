"""The judge of SiLU and multiply."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, x, what):
    gate, up = x.double().chunk(2, dim=-1)
    right, before = (gate * torch.sigmoid(gate) * up).to(x.dtype), x.clone()
    assert_close(answer.silu_and_mul(x), right, what)
    assert torch.equal(x, before), f"{what}: x was changed: the result belongs into a new tensor"


def test_the_first_half_is_the_gate(answer):
    """One token: the gates 1, -2, 0, the ups 10, 20, 30."""
    judge(answer, torch.tensor([[1.0, -2.0, 0.0, 10.0, 20.0, 30.0]]), "gates 1, -2, 0, ups 10, 20, 30")


def test_several_tokens(answer):
    for tokens, n in ((0, 4), (3, 0), (2, 1), (3, 4), (5, 100), (2, 1025), (2, 3000)):
        judge(answer, torch.randn(tokens, 2 * n), f"{tokens} tokens, n = {n}")


def test_large_gates(answer):
    """exp of 100 is more than float32 holds, which SiLU need not notice."""
    for gate in (-1000.0, -100.0, -80.0, 80.0, 100.0, 1000.0):
        judge(answer, torch.tensor([[gate, gate, 0.5, -2.0]]), f"a gate of {gate:g}")


def test_half_precision(answer):
    """Gates like 300, whose exp not even float32 holds."""
    judge(answer, (4 * torch.randn(2, 128)).half(), "float16")
    judge(answer, torch.tensor([[9.2, -20.0, 300.0, 15.0, 1000.0, 2.0]]).half(), "large float16 numbers")
