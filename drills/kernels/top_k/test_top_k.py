"""The judge of top-k."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")

INF = float("inf")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def oracle(row, k):
    """By a stable sort: the indices that stay."""
    return sorted(sorted(range(len(row)), key=lambda index: -row[index])[:k])


def judge(answer, logits, ks, what):
    before = logits.clone()
    got = answer.top_k(logits, torch.tensor(ks, dtype=torch.int32))
    assert torch.equal(logits, before), f"{what}: the logits changed: the result belongs into a new tensor"
    assert got.shape == logits.shape and got.dtype == logits.dtype, f"{what}: expected {logits.dtype} {list(logits.shape)}, got {got.dtype} {list(got.shape)}"
    for number, (row, mine, k) in enumerate(zip(logits.tolist(), got, ks)):
        finite = [index for index in oracle(row, k) if row[index] > -INF]
        right = torch.full_like(mine, -INF)
        right[finite] = logits[number, finite]
        kept = (mine > -INF).nonzero().flatten().tolist()
        assert not mine.isnan().any(), f"{what}: {int(mine.isnan().sum())} numbers of row {number} were not written, or are NaN"
        assert kept == finite, f"{what}: row {number}, k {k}: {len(finite)} should stay, {told(finite)}, and {len(kept)} do, {told(kept)}"
        assert torch.equal(mine, right), f"{what}: row {number}: what stays must stay as it is"


def told(indices):
    return f"indices {indices}" if len(indices) < 12 else f"indices {indices[:12]} ..."


def test_any_k(answer):
    judge(answer, torch.tensor([[2.0]]), [1], "a row of one")
    judge(answer, torch.zeros(0, 4), [], "no rows")
    judge(answer, torch.randn(3, 5), [1, 4, 5], "rows of 5")
    judge(answer, torch.randn(1, 400), [50], "a row of 400")


def test_rows_longer_than_a_block(answer):
    judge(answer, torch.randn(1, 1300), [700], "a row of 1300")


def test_negative_numbers(answer):
    judge(answer, -torch.rand(1, 7) - 1, [3], "a row of 7 below -1")
    judge(answer, torch.tensor([[-3.0, 1.0, -1.0, 2.0, -2.0]]), [3], "numbers of both signs")


def test_exactly_k_of_equal_numbers(answer):
    judge(answer, torch.tensor([[1.0, 3.0, 1.0, 1.0, 2.0]]), [3], "three 1s, of which one stays")
    judge(answer, torch.zeros(1, 40), [17], "a row of 40 zeros")
    for value in (1.0, -1.0):       # 1 has 23 zeros at the end of its bits; the float next to it has a 1 there
        value = torch.nextafter(torch.tensor(value), torch.tensor(2 * value))
        judge(answer, value.repeat(1, 9), [4], f"a row of nine {value.item()!r}")
    judge(answer, torch.tensor([[0.0, -0.0, 0.0, -0.0, -1.0]]), [3], "zeros of both signs, which are equal")


def test_equal_numbers_in_several_blocks(answer):
    logits = torch.zeros(1, 1300)
    logits[0, [5, 600, 1290]] = 1
    judge(answer, logits, [300], "1300 zeros but three")


def test_any_distance_between_numbers(answer):
    """Neighbouring floats among numbers of 1e30."""
    close = (torch.tensor([1.0]).view(torch.int32) + torch.arange(6, dtype=torch.int32)).view(torch.float32)
    logits = torch.cat([close, torch.tensor([-1e30, 1e30, 1e-30, -1e-30])])[torch.randperm(10)]
    judge(answer, logits.repeat(2, 1), [4, 9], "neighbouring floats, 1e30, 1e-30 and their negatives")


def test_minus_infinity(answer):
    """A mask was there before: fewer than k are left."""
    logits = torch.randn(1, 20)
    logits[:, 3:17] = -INF
    judge(answer, logits, [10], "a row of 20, 14 of them -inf")
    judge(answer, torch.full((1, 9), -INF), [4], "a row of -inf")
