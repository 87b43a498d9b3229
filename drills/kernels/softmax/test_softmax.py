"""The judge of softmax."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, x, what):
    right, before = torch.softmax(x.double(), dim=-1).to(x.dtype), x.clone()
    got = answer.softmax(x)
    assert_close(got, right, what)
    assert torch.equal(x, before), f"{what}: x was changed: the result belongs into a new tensor"
    return got


def test_rows_of_any_length(answer):
    for rows, n in ((0, 5), (1, 1), (3, 2), (4, 5), (2, 1000), (2, 1025)):
        x = 4 * torch.randn(rows, n)
        x[:, 0] = 12
        judge(answer, x, f"{rows} rows of {n}")


def test_rows_longer_than_a_block(answer):
    """The largest number is at the end, in the middle, at the beginning."""
    for n in (4096, 8191, 8192):
        x = torch.randn(3, n)
        x[0, -1] = x[1, n // 2] = x[2, 0] = 9
        judge(answer, x, f"rows of {n}")


def test_minus_infinity_becomes_zero(answer):
    """As in a causal mask: a few numbers at the end of a row, or all but the last."""
    x = torch.randn(3, 7)
    x[0, 4:] = x[1, :-1] = -float("inf")
    got = judge(answer, x, "rows of 7 with -inf")
    assert (got[x == -float("inf")] == 0).all(), "where x is -inf, the softmax is 0"


def test_a_row_that_begins_with_thousands_of_minus_infinity(answer):
    x = torch.randn(2, 8192)
    x[0, :-3] = x[1, :5000] = -float("inf")
    judge(answer, x, "rows of 8192 that begin with -inf")


def test_large_numbers(answer):
    """exp(89) is more than float32 holds, and the softmax of large numbers is nothing special."""
    for shift in (100.0, 3e4, -3e4):
        judge(answer, torch.randn(2, 9).round() + shift, f"numbers around {shift:g}")


def test_half_precision(answer):
    """A sum of 8192 float16 numbers, and of numbers around 60000, of which float16 holds two no more."""
    x = torch.randn(2, 3000).half()
    x[:, 0] = 9
    for x, what in ((x, "float16 rows of 3000"), (torch.full((1, 8192), 60000.0).half(), "8192 times the float16 60000")):
        got, right = judge(answer, x, what).double(), torch.softmax(x.double(), dim=-1)
        off = ((got - right).abs() / (right + 2 ** -14)).max().item()       # below 2 ** -14 float16 has fewer bits
        assert off < 1.1 * 2 ** -11, f"{what}: off by {off:.2g} of a number, where rounding to float16 costs {2 ** -11:.2g} at most: compute in float32"
