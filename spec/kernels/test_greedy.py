"""Greedy sampling: torch's argmax with ties to the lowest id, for any rows in any memory."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.greedy import bytes_min, greedy, greedy_twin
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, captured, each_dtype, needs_gpu, poisoned, unsynchronised

NEVER, NAN = float("-inf"), float("nan")


def amid_poison(rows: int, vocabulary: int, margin: int, dtype: torch.dtype) -> torch.Tensor:
    return poisoned(rows + 2, vocabulary + 2 * margin, dtype=dtype)[1:-1, margin:-margin]


@each_dtype
@examples(on_cpu=25, on_gpu=200)
@given(rows=st.integers(0, 4), vocabulary=st.sampled_from([1, 2, 15, 16, 17, 100]), margin=st.sampled_from([3, 16]),
       levels=st.sampled_from([2, 5, 1000]), shift=st.sampled_from([-100, 0, 100]), seed=st.integers(0, 2**31))
def test_the_token_is_the_lowest_of_the_best(dtype, rows, vocabulary, margin, levels, shift, seed):
    torch.manual_seed(seed)
    logits = amid_poison(rows, vocabulary, margin, dtype)
    logits.copy_(torch.randint(-levels, levels, logits.shape) / 8 + shift)      # with many ties
    tokens = greedy(logits, chunk=16)
    assert tokens.tolist() == [row.index(max(row)) for row in logits.tolist()] and tokens.dtype == torch.int64
    if vocabulary and rows and len(set(logits[0].tolist())) == vocabulary:
        assert tokens[0] == greedy_twin(logits)[0]


@pytest.mark.parametrize(("row", "token"), [
    ([NEVER] * 20, 0), ([NEVER] * 18 + [-1e30, NEVER], 18), ([1.0, NAN, 2.0, NAN], 1), ([float("inf"), NAN], 1), ([-NAN, 5.0], 0),
    ([-1.0, -0.0, 0.0], 1), ([-3.0, -2.0, -2.0], 1), ([1e-45, 0.0], 0), ([-1e-45, -1.0], 0), ([3e38, float("inf")], 1)])
def test_strange_rows_are_as_torchs(row, token):
    logits = torch.tensor([row], device=DEVICE)
    assert greedy(logits, chunk=4).tolist() == [token] == greedy_twin(logits.cpu()).tolist()


def test_bytes():
    assert bytes_min(3, 100, 2) == 3 * 100 * 2 + 3 * 8


@pytest.mark.parametrize(("logits", "complaint"), [
    (torch.zeros(5), "must be float32"), (torch.zeros(5, 0), "must be float32"), (torch.zeros(5, 5).double(), "float64"),
    (torch.zeros(5, 5).T, "contiguous")])
def test_what_is_no_logits_is_refused(logits, complaint):
    with pytest.raises(ValueError, match=complaint):
        greedy(logits)


@needs_gpu
@each_dtype
@pytest.mark.parametrize("rows", [1, 3, 256])
def test_at_full_size_and_replayed(dtype, rows):
    logits = torch.randn(rows, 151_936, device=DEVICE, dtype=torch.float32).to(dtype)
    with unsynchronised():
        greedy(logits)
    tokens = None

    def launch():
        nonlocal tokens
        tokens = greedy(logits)

    graph = captured(launch)
    for _ in range(3):
        logits.copy_(torch.randn(logits.shape, device=DEVICE).to(dtype))
        graph.replay()
        first = (logits == logits.amax(-1, keepdim=True)).int().argmax(-1)
        assert torch.equal(tokens, first)


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_rows_further_away_than_32_bits_count():
    logits = torch.empty(2, 2**31 + 8, dtype=torch.bfloat16, device=DEVICE)[:, :1000]
    logits.copy_(torch.arange(1000) % 7 == 6)
    assert greedy(logits).tolist() == [6, 6]
