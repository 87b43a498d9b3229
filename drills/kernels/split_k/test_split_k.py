"""The judge of split K."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def judge(answer, a, b, splits, tolerance=0):
    right, before = (a.double() @ b.double()).to(a.dtype), (a.clone(), b.clone())
    what = f"{a.dtype} {list(a.shape)} @ {list(b.shape)} in {splits} splits"
    assert_close(answer.split_k(a, b, splits), right, what, tolerance)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1]), f"{what}: a or b was changed"


def integers(*shape):
    """Small ones: their products and sums are exact in any order, and one that is missing shows."""
    return torch.randint(-4, 5, shape).float()


def test_one_split(answer):
    judge(answer, torch.tensor([[3.0]]), torch.tensor([[-2.0]]), 1)
    judge(answer, integers(3, 100), integers(100, 70), 1)


def test_several_splits(answer):
    for m, n, k, splits in ((1, 1, 128, 2), (2, 3, 256, 4), (20, 65, 128, 2)):
        judge(answer, integers(m, k), integers(k, n), splits)


def test_k_that_does_not_divide(answer):
    for k, splits in ((129, 2), (300, 3), (255, 4), (513, 2)):
        judge(answer, integers(2, k), integers(k, 3), splits)


def test_more_splits_than_there_is_to_do(answer):
    """A program without work has the sum 0, which somebody has to write."""
    for k, splits in ((1, 2), (10, 8), (130, 7)):
        judge(answer, integers(2, k), integers(k, 3), splits)


def test_nothing(answer):
    for m, n, k in ((0, 3, 4), (3, 0, 4), (2, 3, 0)):
        judge(answer, integers(m, k), integers(k, n), 2)


def test_partial_sums_are_float32(answer):
    """The halves of K give 79687.5 and -79684.5: neither is a float16, and their sum is 3."""
    a, b = torch.full((1, 512), 12.5).half(), torch.full((512, 1), 25.0).half()
    b[256:] = -25
    a[0, -1], b[-1, 0] = 3, 1
    a[0, 0], b[0, 0] = 0, 0
    judge(answer, a, b, 2)


def test_half_precision(answer):
    judge(answer, integers(5, 200).half(), integers(200, 20).half(), 3)
    judge(answer, torch.randn(5, 200).half(), torch.randn(200, 20).half(), 3, tolerance=4e-3)


def test_the_same_bits_each_time(answer):
    """Sums of floats depend on their order, so the order has to be the same."""
    a, b = torch.randn(4, 1000), torch.randn(1000, 8)
    first = answer.split_k(a, b, 8)
    assert_close(first, a @ b, "float32 [4, 1000] @ [1000, 8] in 8 splits", 1e-4)
    for _ in range(20 if torch.cuda.is_available() else 1):
        assert torch.equal(answer.split_k(a, b, 8), first), "the same matrices gave other bits the second time: are partial sums added as they come?"
