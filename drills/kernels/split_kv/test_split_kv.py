"""The judge of split KV."""
import pytest

from drills.judging import assert_close

torch = pytest.importorskip("torch", reason="needs torch and triton: make setup")

INF = float("inf")


@pytest.fixture(autouse=True)
def the_same_numbers_each_time():
    torch.manual_seed(0)


def case(length, heads=3, head_dim=16, capacity=None, dtype=torch.float32):
    capacity = capacity or length + 5
    query, keys, values = torch.randn(heads, head_dim), torch.randn(capacity, head_dim), torch.randn(capacity, head_dim)
    return query.to(dtype), keys.to(dtype), values.to(dtype), torch.tensor([length], dtype=torch.int32)


def part(query, keys, values, first, end):
    """What one split should leave, in float64."""
    scores = query.double() @ keys[first:end].double().T * query.shape[1] ** -0.5
    highest = scores.amax(1) if first < end else torch.full((len(query),), -INF).double()
    weights = (scores - highest[:, None]).exp()
    return weights @ values[first:end].double(), highest, weights.sum(1)


def oracle(query, keys, values, length):
    partial, _, total = part(query, keys, values, 0, int(length))
    return (partial / total.clamp(min=1)[:, None]).float()


def test_any_length_and_number_of_splits(answer):
    for length, splits in ((1, 1), (1, 2), (4, 2), (5, 2), (7, 3), (40, 1), (100, 3), (90, 8)):
        inputs = case(length)
        assert_close(answer.split_kv(*inputs, splits), oracle(*inputs), f"{length} tokens in {splits} splits", 1e-4)


def test_what_each_split_leaves(answer):
    for length, splits in ((3, 1), (4, 2), (11, 3), (150, 3)):
        query, keys, values, number = case(length)
        got, size = answer.attend_splits(query, keys, values, number, splits), -(-length // splits)
        for split in range(splits):
            first, end = split * size, min(split * size + size, length)
            for name, mine, right in zip(("partial", "highest", "total"), got, part(query, keys, values, first, end)):
                assert_close(mine[split], right.float(), f"{length} tokens in {splits} splits: {name} of split {split}, tokens {first} to {end - 1}", 1e-4)


def test_empty_splits(answer):
    """5 tokens in 4 splits of 2: the last has none. 9 in 8 of 2: three have none. And nobody has any."""
    for length, splits in ((5, 4), (9, 8), (1, 8), (0, 2)):
        query, keys, values, number = case(length)
        _, highest, total = answer.attend_splits(query, keys, values, number, splits)
        used = -(-length // -(-length // splits)) if length else 0
        assert (highest[used:] == -INF).all() and (total[used:] == 0).all(), (
            f"{length} tokens in {splits} splits: the last {splits - used} are empty, which is highest -inf and total 0, "
            f"got highest {highest[used:, 0].tolist()} and total {total[used:, 0].tolist()}")
        inputs = query, keys, values, number
        assert_close(answer.split_kv(*inputs, splits), oracle(*inputs), f"{length} tokens in {splits} splits", 1e-4)


def test_merging(answer):
    """Parts with highest scores far apart, and with one that has many tokens."""
    for highs in ([0.0], [1.0, 3.0], [700.0, 698.0, -700.0], [5.0, -90.0, 6.0, 4.0]):
        highest = torch.tensor(highs)[:, None].repeat(1, 2) + torch.tensor([0.0, 1.5])
        total = 1 + 9 * torch.rand(len(highs), 2)
        partial = total[..., None] * torch.randn(len(highs), 2, 16)
        factor = (highest - highest.amax(0)).double().exp()
        right = (partial * factor[..., None]).sum(0) / (total * factor).sum(0)[:, None]
        assert_close(answer.merge_splits(partial, highest, total), right.float(), f"splits with highest scores {highs}", 1e-4)


def test_merging_with_empty_splits(answer):
    """Nobody has written the partial of an empty split."""
    for full in ([0], [1, 3], []):
        partial, highest, total = torch.full((4, 2, 16), float("nan")), torch.full((4, 2), -INF), torch.zeros(4, 2)
        right = torch.zeros(2, 16)
        for split in full:
            partial[split], highest[split], total[split] = split + 1.0, 2.0, 1.0
            right += (split + 1.0) / len(full)
        assert_close(answer.merge_splits(partial, highest, total), right, f"4 splits, of which {full} are not empty, the partials of the others are NaN")


def test_beyond_the_length_is_anything(answer):
    for length, splits in ((5, 2), (37, 3)):
        query, keys, values, number = case(length, capacity=64)
        right = oracle(query, keys, values, number)
        keys[length:] = values[length:] = float("nan")
        assert_close(answer.split_kv(query, keys, values, number, splits), right, f"{length} tokens in {splits} splits, behind them NaN", 1e-4)


def test_half_precision_and_other_shapes(answer):
    for heads, head_dim, dtype, tolerance in ((1, 8, torch.float32, 1e-4), (16, 24, torch.float32, 1e-4), (7, 64, torch.float16, 4e-3)):
        inputs = case(21, heads, head_dim, dtype=dtype)
        assert_close(answer.split_kv(*inputs, 2), oracle(*inputs), f"{heads} heads of {head_dim}, {dtype}", tolerance)
