"""Penalties: as exact as torch, in place, and on nobody who has none."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from kernels.penalties import bytes_min, pack, penalties, penalties_twin
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, assert_as_exact_as_torch, captured, each_dtype, needs_gpu, poisoned, unsynchronised


def some_history(rows: int, vocabulary: int, margin: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(prompt_mask, output_counts), with other rows' memory beside each row. Some tokens in both, some in one, some in none."""
    seen = torch.rand(rows, vocabulary, device=DEVICE) < 0.4
    mask = poisoned(rows, -(-vocabulary // 32) + margin, dtype=torch.int32)[:, :-(-vocabulary // 32)]
    counts = poisoned(rows, vocabulary + margin, dtype=torch.int32)[:, :vocabulary]
    mask.copy_(pack(seen))
    counts.copy_((torch.randint(0, 6, (rows, vocabulary), device=DEVICE) - 2).clamp(min=0))
    return mask, counts


def test_the_twin_does_as_openais_definition_says():
    """Token by token, in plain numbers."""
    torch.manual_seed(0)
    logits = torch.randn(2, 70, dtype=torch.float64)
    mask, counts = (each.cpu() for each in some_history(2, 70))
    repetition, frequency, presence = torch.tensor([1.5, 0.5]), torch.tensor([0.25, -0.5]), torch.tensor([0.125, 1.0])
    expected = []
    for row in range(2):
        for token, logit in enumerate(logits[row].tolist()):
            count = int(counts[row, token])
            if int(mask[row, token // 32]) >> token % 32 & 1 or count:
                logit = logit / repetition[row].item() if logit > 0 else logit * repetition[row].item()
            expected.append(logit - count * frequency[row].item() - (presence[row].item() if count else 0))
    result = penalties_twin(logits, mask, counts, repetition, frequency, presence)
    torch.testing.assert_close(result.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_each_token_has_its_bit():
    for token in (0, 1, 31, 32, 63, 64, 69):
        seen = torch.zeros(1, 70, dtype=torch.bool)
        seen[0, token] = True
        words = pack(seen)[0].tolist()
        assert [word & 0xFFFFFFFF for word in words] == [2 ** (token % 32) if index == token // 32 else 0 for index in range(3)]


@each_dtype
@examples(on_cpu=20, on_gpu=200)
@given(rows=st.integers(0, 3), vocabulary=st.sampled_from([1, 31, 32, 33, 64, 100]), margin=st.sampled_from([3, 16]), seed=st.integers(0, 2**31),
       repetition=st.lists(st.sampled_from([1.0, 1.3, 0.6]), min_size=3, max_size=3),
       frequency=st.lists(st.sampled_from([0.0, 0.4, -1.1]), min_size=3, max_size=3),
       presence=st.lists(st.sampled_from([0.0, 0.7, -2.0]), min_size=3, max_size=3))
def test_as_exact_as_torch_and_nothing_else_is_touched(dtype, rows, vocabulary, margin, seed, repetition, frequency, presence):
    torch.manual_seed(seed)
    memory = poisoned(rows + 2, vocabulary + 2 * margin, dtype=dtype)
    logits = memory[1:-1, margin:-margin]
    logits.copy_(torch.randn(logits.shape) * 3)
    if rows:
        logits[0, ::3] = float("-inf")
    before = logits.clone()
    numbers = [torch.tensor(each[:rows], device=DEVICE) for each in (repetition, frequency, presence)]
    history = some_history(rows, vocabulary, margin)
    assert penalties(logits, *history, *numbers, chunk=32) is logits
    # The twin in the kernel's precision, then rounded once: in bfloat16 it would round three times, which allows too much.
    torchs = penalties_twin(before.float(), *history, *numbers).to(dtype)
    assert_as_exact_as_torch(logits, torchs, penalties_twin(before.double(), *history, *numbers))
    for row in range(rows):
        if (repetition[row], frequency[row], presence[row]) == (1.0, 0.0, 0.0):
            assert torch.equal(logits[row], before[row])
    logits[:] = 0
    assert memory.isnan().sum() == memory.numel() - logits.numel(), "written outside of the rows"


def test_bytes():
    assert bytes_min(2, 100, 2) == 2 * (100 * 2 + 100 * 2 + 100 * 4 + 4 * 4 + 3 * 4)


def test_what_does_not_fit_is_refused():
    logits, mask, counts, one = torch.zeros(2, 40), torch.zeros(2, 2, dtype=torch.int32), torch.zeros(2, 40, dtype=torch.int32), torch.ones(2)
    for arguments, complaint in [((logits, mask[:, :1], counts, one, one, one), "prompt_mask"),
                                 ((logits, mask, counts.long(), one, one, one), "output_counts"),
                                 ((logits, mask, counts, one[:1], one, one), "repetition"),
                                 ((logits, mask, counts, one, one.double(), one), "frequency"),
                                 ((logits, mask, counts, one, one, one[None]), "presence"), ((logits[0], mask, counts, one, one, one), "logits")]:
        with pytest.raises(ValueError, match=complaint):
            penalties(*arguments)


@needs_gpu
def test_replayed_with_other_numbers():
    logits, numbers = torch.randn(16, 151_936, device=DEVICE), [torch.ones(16, device=DEVICE) for _ in range(3)]
    history = some_history(16, 151_936)
    with unsynchronised():
        penalties(logits, *history, *numbers)
    graph = captured(lambda: penalties(logits, *history, *numbers))
    for value in (0.5, 1.5):
        logits.copy_(torch.randn(logits.shape, device=DEVICE))
        before = logits.clone()
        history[1].random_(0, 3)
        for each in numbers:
            each[::2] = value
        graph.replay()
        assert_as_exact_as_torch(logits, penalties_twin(before, *history, *numbers), penalties_twin(before.double(), *history, *numbers))


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_rows_further_away_than_32_bits_count():
    logits = torch.empty(2, 2**31 + 8, dtype=torch.bfloat16, device=DEVICE)[:, :100]
    logits[:] = 4
    mask, counts = torch.zeros(2, 4, dtype=torch.int32, device=DEVICE), torch.ones(2, 100, dtype=torch.int32, device=DEVICE)
    two = torch.full((2,), 2.0, device=DEVICE)
    penalties(logits, mask, counts, two, two / 4, two / 8)
    assert (logits == 4 / 2 - 0.5 - 0.25).all()


@needs_gpu
@vllm_kernels.needs_vllm_kernels
@each_dtype
def test_the_logits_are_vllms(dtype):
    torch.manual_seed(0)
    rows, vocabulary = 64, 151_936
    logits = (torch.randn(rows, vocabulary, device=DEVICE) * 3).to(dtype)
    numbers = [1 + torch.rand(rows, device=DEVICE), torch.rand(rows, device=DEVICE), torch.rand(rows, device=DEVICE)]
    numbers[0][::2], numbers[1][::3], numbers[2][::5] = 1, 0, 0
    history = some_history(rows, vocabulary)
    ours, vllms = penalties(logits.clone(), *history, *numbers), vllm_kernels.penalties(logits.clone(), *history, *numbers)
    # Whether a product and a sum are rounded together is up to the compiler.
    torch.testing.assert_close(ours, vllms, rtol=1e-6 if dtype == torch.float32 else 1e-2, atol=1e-6)
