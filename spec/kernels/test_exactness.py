"""The measure itself: a rule that nothing can break would let every kernel pass."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from spec.kernels.exactness import DEVICE, DTYPES, assert_as_exact_as_torch, captured, needs_gpu, poisoned, unsynchronised  # noqa: E402

INF, NAN = float("inf"), float("nan")


def exactly(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_twice_torchs_error_is_granted_and_no_more():
    exact, torchs = exactly(1, 2, 4), torch.tensor([1.0, 2.0, 4.5])
    assert_as_exact_as_torch(torch.tensor([1.0, 2.0, 5.0]), torchs, exact)
    assert_as_exact_as_torch(torch.tensor([1.0, 3.0, 4.0]), torchs, exact)      # anywhere
    with pytest.raises(AssertionError, match=r"error 1\.12, torch's 0\.5, rounding 0"):
        assert_as_exact_as_torch(torch.tensor([1.0, 2.0, 5.125]), torchs, exact)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_is_granted_where_torch_is_lucky(dtype):
    """A third is no number of any of these types; nothing is nearer to it than `nearest`."""
    third, nearest = exactly(1 / 3), torch.tensor([1 / 3], dtype=dtype)
    assert_as_exact_as_torch(nearest, nearest, third)
    step = torch.finfo(dtype).eps / 4       # between neighbours, from a quarter to a half
    assert_as_exact_as_torch(nearest + step, nearest, third)    # off by at most four times what rounding costs: by 1.5 steps
    with pytest.raises(AssertionError, match="error"):
        assert_as_exact_as_torch(nearest + max(4 * step, 16 * 2.0 ** -23), nearest, third)


def test_sums_that_cancel_and_exponents_cost_what_they_were_on_the_way():
    """A few roundings of 1000, where 1 is left of it; a rounding of 1000 that was an exponent: 1000 roundings of what comes out."""
    exact, torchs, ours = exactly(1), torch.tensor([1.0]), torch.tensor([1.0 + 900 * 2.0 ** -24])
    for granted in ({"on_the_way": 1000.0}, {"exponent": 1000.0}):
        assert_as_exact_as_torch(ours, torchs, exact, **granted)
        with pytest.raises(AssertionError, match="error"):
            assert_as_exact_as_torch(ours, torchs, exact, **{name: most / 100 for name, most in granted.items()})


def test_products_of_ten_bits_are_not_granted_with_long_scores():
    """TF32, which Triton takes unless told otherwise, on queries and keys as attention's tests have them; float32's own sums are, one by one as well."""
    chance = torch.Generator().manual_seed(0)
    queries, keys, values = (torch.randn(rows, 128, generator=chance) for rows in (8, 385, 385))
    longest = 0.1 * queries.norm(dim=1).max().item() * keys.norm(dim=1).max().item()

    def attended(scores):
        return (0.1 * scores).softmax(1) @ values.to(scores.dtype)

    one_by_one = torch.zeros(8, 385)
    for query, key in zip(queries.T, keys.T):
        one_by_one += query[:, None] * key
    exact, torchs = attended(queries.double() @ keys.double().T), attended(queries @ keys.T)
    assert_as_exact_as_torch(attended(one_by_one), torchs, exact, exponent=longest)
    rough = [(each.view(torch.int32) & -(1 << 13)).view(torch.float32) for each in (queries, keys)]
    with pytest.raises(AssertionError, match="error"):
        assert_as_exact_as_torch(attended(rough[0] @ rough[1].T), torchs, exact, exponent=longest)


@pytest.mark.parametrize("ours", [[NAN, 1.0], [1.0, NAN]])
def test_nan_is_never_right(ours):
    with pytest.raises(AssertionError, match="1 of 2 numbers are NaN"):
        assert_as_exact_as_torch(torch.tensor(ours), torch.tensor(ours), exactly(1, 1))
    with pytest.raises(AssertionError):
        assert_as_exact_as_torch(torch.ones(2), torch.ones(2), exactly(*ours))


def test_infinity_where_it_belongs_and_nowhere_else():
    exact, masked = exactly(-INF, 1, INF), torch.tensor([-INF, 1.0, INF])
    assert_as_exact_as_torch(masked, masked, exact)
    for wrong in ([INF, 1.0, INF], [-1e30, 1.0, INF], [-INF, INF, INF], [-INF, 1.5, INF]):
        with pytest.raises(AssertionError):
            assert_as_exact_as_torch(torch.tensor(wrong), masked, exact)
    too_large = torch.tensor([INF], dtype=torch.float16)
    assert_as_exact_as_torch(too_large, too_large, exactly(1e6))
    with pytest.raises(AssertionError, match="infinite"):
        assert_as_exact_as_torch(torch.tensor([60000.0], dtype=torch.float16), too_large, exactly(1e6))


def test_a_twin_that_overflows_proves_nothing():
    with pytest.raises(AssertionError, match="twin overflows"):
        assert_as_exact_as_torch(torch.tensor([7.0]), torch.tensor([INF]), exactly(1))


def test_shapes_and_types_must_be_the_same():
    right = torch.ones(2, 3)
    for ours, torchs, exact in [(right[:1], right, right.double()), (right, right[:1], right.double()), (right, right, right[:1].double()),
                                (right.half(), right, right.double()), (right, right, right)]:
        with pytest.raises(AssertionError):
            assert_as_exact_as_torch(ours, torchs, exact)


def test_nothing_is_as_exact_as_nothing():
    assert_as_exact_as_torch(torch.ones(0, 3), torch.ones(0, 3), torch.ones(0, 3).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn])
def test_poison_for_numbers_is_nan(dtype):
    poison = poisoned(3, 2, dtype=dtype)
    assert poison.shape == (3, 2) and poison.dtype == dtype and poison.device.type == DEVICE and poison.float().isnan().all()


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_poison_for_indices_is_hopeless(dtype):
    assert poisoned(4, dtype=dtype).tolist() == [2**31 - 1] * 4


@needs_gpu
def test_a_graph_does_the_same_again_with_new_numbers():
    x, out = torch.ones(4, device=DEVICE), torch.zeros(4, device=DEVICE)
    graph = captured(lambda: torch.add(x, 1, out=out))
    x.fill_(5)
    graph.replay()
    assert out.tolist() == [6] * 4


@needs_gpu
def test_waiting_for_the_gpu_is_noticed():
    x = torch.ones(4, device=DEVICE)
    with unsynchronised():
        x.add_(1)
    with pytest.raises(RuntimeError), unsynchronised():
        x.sum().item()
    assert x.sum().item() == 8      # and it is allowed again
