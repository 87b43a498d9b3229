"""The judge of the dequantising gemv."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def int8_case(rows, n):
    return torch.randint(-128, 128, (rows, n), dtype=torch.int8), 0.01 + 0.1 * torch.rand(rows), torch.randn(n)


def int4_case(rows, n, group_size):
    """Weights -8..7, and the same packed."""
    weights = torch.randint(-8, 8, (rows, n))
    return weights, pack(weights), 0.01 + torch.rand(rows, n // group_size), torch.randn(n)


def pack(weights):
    shifted = (weights + 8).to(torch.uint8)
    return shifted[:, 0::2] | shifted[:, 1::2] << 4


def int4_right(weights, scales, x):
    wide = scales.repeat_interleave(len(x) // scales.shape[1], dim=1)
    return ((weights * wide.double()) @ x.double()).to(x.dtype)


def test_int8(answer):
    for rows, n in ((0, 4), (1, 1), (3, 5), (4, 512), (2, 1300)):
        weights, scales, x = int8_case(rows, n)
        right = ((weights.double() * scales[:, None].double()) @ x.double()).float()
        assert_close(answer.int8_gemv(weights, scales, x), right, f"{rows} rows of {n} int8 weights", 1e-4)


def test_int4(answer):
    for rows, n, group_size in ((0, 4, 2), (1, 2, 2), (2, 8, 8), (3, 20, 10), (2, 12, 4), (2, 1280, 128), (2, 1500, 30)):
        weights, packed, scales, x = int4_case(rows, n, group_size)
        assert_close(answer.int4_gemv(packed, scales, x), int4_right(weights, scales, x),
                     f"{rows} rows of {n} int4 weights in groups of {group_size}", 1e-4)


def test_each_int4_weight_is_where_it_belongs(answer):
    """A vector with a single one reads a column back."""
    weights = torch.tensor([[-8, 7, 3, -1], [0, 5, -6, 2]])
    for column in range(4):
        x = torch.zeros(4)
        x[column] = 1
        got = answer.int4_gemv(pack(weights), torch.ones(2, 1), x).tolist()
        assert got == weights[:, column].tolist(), (
            f"bytes {pack(weights).tolist()} hold the weights {weights.tolist()}: column {column} was read as {got}")


def test_half_precision(answer):
    """x and the result fit float16, one product does not, and neither do the sums on the way."""
    sign = torch.ones(1000)
    sign[501:] = -1
    weights = torch.full((1, 1000), 127, dtype=torch.int8)
    assert_close(answer.int8_gemv(weights, torch.tensor([0.125]), (600 * sign).half()), torch.tensor([2 * 127 * 600 * 0.125]).half(),
                 "float16 x of 600 times int8 weights of 127")
    weights = torch.full((1, 1000), 7)
    assert_close(answer.int4_gemv(pack(weights), torch.full((1, 10), 0.125), (16384 * sign).half()), torch.tensor([2 * 7 * 16384 * 0.125]).half(),
                 "float16 x of 16384 times int4 weights of 7")


def test_the_inputs_stay_as_they_are(answer):
    weights, scales, x = int8_case(3, 6)
    before = [each.clone() for each in (weights, scales, x)]
    answer.int8_gemv(weights, scales, x)
    for name, now, then in zip(("weights", "scales", "x"), (weights, scales, x), before):
        assert torch.equal(now, then), f"{name} changed: dequantise in registers, not in memory"
