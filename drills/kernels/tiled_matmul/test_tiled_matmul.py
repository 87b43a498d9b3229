"""The judge of the tiled matmul."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, a, b, what, tolerance=None):
    right, before = (a.double() @ b.double()).to(a.dtype), (a.clone(), b.clone())
    assert_close(answer.tiled_matmul(a, b), right, what, tolerance)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1]), f"{what}: a or b was changed"


def integers(*shape):
    """Small ones: their products and sums are exact in any order, and one that is missing shows."""
    return torch.randint(-4, 5, shape).float()


def test_one_number(answer):
    judge(answer, torch.tensor([[3.0]]), torch.tensor([[-2.0]]), "3 times -2")


def test_whole_tiles(answer):
    for m, n, k in ((64, 64, 64), (128, 64, 64), (64, 128, 128)):
        judge(answer, integers(m, k), integers(k, n), f"[{m}, {k}] @ [{k}, {n}]", 0)


def test_any_m_n_k(answer):
    for m, n, k in ((2, 3, 4), (5, 1, 7), (1, 100, 33), (65, 63, 1), (17, 130, 100), (100, 10, 129)):
        judge(answer, integers(m, k), integers(k, n), f"[{m}, {k}] @ [{k}, {n}]", 0)


def test_nothing(answer):
    """Without rows or columns there is nothing to compute; without anything in between, every sum is 0."""
    for m, n, k in ((0, 3, 4), (3, 0, 4), (2, 3, 0)):
        judge(answer, integers(m, k), integers(k, n), f"[{m}, {k}] @ [{k}, {n}]", 0)


def test_float32_has_all_its_digits(answer):
    """1 + 2 ** -12 is a float32, but no TF32, which a GPU's tensor cores would make of it."""
    a = 1 + torch.randint(1, 4096, (16, 64)) / 4096
    judge(answer, a, integers(64, 16), "float32 numbers with 12 bits after the point", 1e-5)


def test_half_precision(answer):
    judge(answer, integers(20, 70).half(), integers(70, 30).half(), "float16 integers", 0)
    judge(answer, torch.randn(9, 300).half(), torch.randn(300, 17).half(), "float16", 4e-3)


def test_float16_is_added_up_in_float32(answer):
    """2048.25 is no float16: what is added to 2048 in float16, a little after another, is lost."""
    a, b = torch.full((1, 2048), 2.0 ** -10).half(), torch.ones(2048, 1).half()
    a[0, :64] = 32
    a[0, 1024:1088] = -32
    judge(answer, a, b, "64 times 32, 960 times 1 / 1024, 64 times -32, 960 times 1 / 1024")
