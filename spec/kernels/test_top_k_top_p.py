"""Top-k and top-p: exactly those that vLLM's rule keeps, ties included, whatever the row looks like."""
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make setup")

from hypothesis import given
from hypothesis import strategies as st

from impl.logits_processors import keep_top_k, keep_top_p
from kernels import top_k_top_p as module
from kernels.top_k_top_p import bytes_min, top_k_top_p, top_k_top_p_twin
from reference import vllm_kernels
from spec.kernels.caches import examples
from spec.kernels.exactness import DEVICE, captured, each_dtype, needs_gpu, poisoned, unsynchronised

NEVER = float("-inf")
# Small enough that a row of 70 has chunks, and does not fit the buffer.
SMALL = dict(chunk=32, sample=32, bins=32, capacity=16, gather_warps=1, bisect_tile=128, mask_chunk=64)
SEEN = [*range(8), *range(17, 25), *range(34, 42), *range(51, 59)]      # the sample of a row of 70
FULL = (256, 151_936)


def with_peaks(shape: tuple[int, int]) -> torch.Tensor:
    """One token has about 60 % of the mass, another about 20 %."""
    logits = torch.randn(shape)
    for token_id, share in ((-1, 0.6), (shape[1] // 3, 0.2)):
        logits[:, token_id] = torch.tensor(shape[1] * 1.65 * share / 0.2).log()
    return logits


def all_but_one_forbidden(shape: tuple[int, int]) -> torch.Tensor:
    return torch.full(shape, NEVER).scatter(1, torch.randint(shape[1], (shape[0], 1)), -7.0)


KINDS = {
    "normal": lambda shape: torch.randn(shape) * 2,
    "flat": lambda shape: torch.randn(shape) / 100,
    "heavy tail": lambda shape: torch.randn(shape) * 3,
    "heavier tail": lambda shape: torch.randn(shape) * 10,
    "peaked": lambda shape: torch.randn(shape) * 20,
    "two peaks": with_peaks,
    "tied": lambda shape: torch.randn(shape).round(),
    "all equal": lambda shape: torch.full(shape, -2.5),
    "mostly forbidden": lambda shape: torch.randn(shape).masked_fill(torch.rand(shape) < 0.9, NEVER),
    "all but one forbidden": all_but_one_forbidden,
    "all forbidden": lambda shape: torch.full(shape, NEVER),
    "forbidden with a number": lambda shape: torch.randn(shape).masked_fill(torch.rand(shape) < 0.7, torch.finfo(torch.float16).min),
    "of all sizes": lambda shape: torch.randn(shape) / torch.randn(shape).abs().clamp(min=1e-3),
    "ascending": lambda shape: torch.arange(shape[1]).float().expand(shape) / 8 - 4,    # by id: a sample is not like the row
    "both zeros": lambda shape: torch.where(torch.rand(shape) < 0.5, 0.0, -0.0),
}


def assert_kept(result: torch.Tensor, logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None, slack: float = 2e-6) -> None:
    """By the rule itself, in float64. `slack`: how much mass float32 may get wrong, of 1."""
    order = logits.double().sort(dim=-1, descending=True, stable=True).indices
    kept = result > NEVER
    assert torch.equal(result[kept], logits[kept]) and (result[~kept] == NEVER).all(), "a logit was changed"
    ordered, kept = logits.double().gather(1, order), kept.gather(1, order)
    number = kept.sum(-1)
    rank = torch.arange(logits.shape[1], device=logits.device)
    assert torch.equal(kept, rank < number[:, None]), "kept a token and not the one before"
    most = (ordered > NEVER).sum(-1)
    if k is not None:
        most = torch.where((k > 0) & (k < logits.shape[1]), most.clamp(max=k), most)
    if p is None:
        assert torch.equal(number, most), (number, most)
        return
    mass = (ordered - ordered[:, :1].nan_to_num(neginf=0)).exp().masked_fill(rank >= most[:, None], 0)
    before = (mass.cumsum(-1) - mass) / mass.sum(-1, keepdim=True).clamp(min=1e-300)
    fewest, most_of_p = (((before < each[:, None]) & (rank < most[:, None])).sum(-1).clamp(min=most.clamp(max=1)) for each in (p - slack, p + slack))
    fewest, most_of_p = (torch.where(p < 1, each, most) for each in (fewest, most_of_p))
    assert ((fewest <= number) & (number <= most_of_p)).all(), (fewest, number, most_of_p)


@each_dtype
@examples(on_cpu=12, on_gpu=400)
@given(rows=st.integers(0, 2), sizes=st.sampled_from([dict(chunk=32, bins=32), dict(chunk=64, bins=8)]), vocabulary=st.sampled_from([1, 2, 31, 32, 33, 70]),
       margin=st.sampled_from([3, 16]), kind=st.sampled_from(sorted(KINDS)), k=st.one_of(st.none(), st.lists(st.integers(0, 71), min_size=2, max_size=2)),
       p=st.one_of(st.none(), st.lists(st.sampled_from([0.0, 1e-6, 0.1, 0.5, 0.9, 0.999, 1.0]), min_size=2, max_size=2)),
       in_place=st.booleans(), seed=st.integers(0, 2**31))
def test_the_rule_is_kept_and_nothing_else_is_touched(dtype, rows, sizes, vocabulary, margin, kind, k, p, in_place, seed):
    torch.manual_seed(seed)
    memory, out_memory = (poisoned(rows + 2, vocabulary + 2 * margin, dtype=dtype) for _ in range(2))
    logits, out = memory[1:-1, margin:-margin], out_memory[1:-1, margin:-margin]
    logits.copy_(KINDS[kind]((rows, vocabulary)))
    before = logits.clone()
    k = None if k is None else torch.tensor(k[:rows], dtype=torch.int32, device=DEVICE)
    p = None if p is None else torch.tensor(p[:rows], device=DEVICE)
    target = logits if in_place else out
    assert top_k_top_p(logits, k, p, target, **{**SMALL, **sizes}) is target
    assert_kept(target, before, k, p)
    if not in_place:
        assert torch.equal(logits, before)
    target[:] = 0
    assert (memory if in_place else out_memory).isnan().sum() == memory.numel() - target.numel(), "written outside of the rows"


@examples(on_cpu=100, on_gpu=200)
@given(vocabulary=st.sampled_from([1, 2, 33, 70]), kind=st.sampled_from(sorted(KINDS)), k=st.integers(0, 71),
       p=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 0.9, 0.999, 1.0]), seed=st.integers(0, 2**31))
def test_the_twin_keeps_the_rule(vocabulary, kind, k, p, seed):
    torch.manual_seed(seed)
    logits, k, p = KINDS[kind]((2, vocabulary)), torch.tensor([k, 3], dtype=torch.int32), torch.tensor([p, 0.4])
    for arguments in ((k, None), (None, p), (k, p)):
        assert_kept(top_k_top_p_twin(logits, *arguments), logits, *arguments)


def test_of_tied_tokens_the_lower_ids_stay():
    logits = torch.zeros(4, 64, device=DEVICE)
    logits[:, 40] = 1.0
    k, p = torch.tensor([5, 64, 17, 33], dtype=torch.int32, device=DEVICE), torch.tensor([1.0, 1.0, 1.0, 0.5], device=DEVICE)
    kept = [(row > NEVER).nonzero().flatten().tolist() for row in top_k_top_p(logits, k, None, **SMALL)]
    assert kept == [[0, 1, 2, 3, 40], [*range(64)], [*range(16), 40], [*range(32), 40]]
    # Of 33 tokens one weighs e, the others 1 each: half of e + 32 is reached with e and 15 others.
    last = top_k_top_p(logits, k, p, **SMALL)[3]
    assert (last > NEVER).nonzero().flatten().tolist() == [*range(15), 40]
    equal = top_k_top_p(torch.zeros(1, 64, device=DEVICE), None, p[3:], **SMALL)
    assert (equal[0] > NEVER).nonzero().flatten().tolist() == [*range(32)]      # all numbers exact: 32 of 64 are half


def test_mass_is_what_top_k_left():
    logits = torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.1]], device=DEVICE).log()
    k, p = torch.tensor([2], dtype=torch.int32, device=DEVICE), torch.tensor([0.6], device=DEVICE)
    # Of all, 0.6 needs two tokens; of the best two, the first has 5 / 7.
    assert (top_k_top_p(logits, None, p, **SMALL) > NEVER).sum() == 2 and (top_k_top_p(logits, k, p, **SMALL) > NEVER).sum() == 1


def test_the_best_token_stays_whatever_p_is():
    logits, p = torch.arange(32.0, device=DEVICE).expand(3, 32).contiguous(), torch.tensor([0.0, -1.0, 1e-9], device=DEVICE)
    kept = top_k_top_p(logits, None, p, **SMALL) > NEVER
    assert kept.nonzero().tolist() == [[0, 31], [1, 31], [2, 31]]


def test_chunks_with_other_highest_logits_are_weighed_alike():
    logits = torch.zeros(1, 64, device=DEVICE)
    logits[:, 32:] = 3.0
    # In units of the second chunk's tokens, all have 32 + 32 / e**3 = 33.6: half of it takes 17.
    kept = top_k_top_p(logits, None, torch.tensor([0.5], device=DEVICE), **SMALL) > NEVER
    assert kept[0].nonzero().flatten().tolist() == [*range(32, 49)]


@pytest.fixture
def numbers(monkeypatch) -> list[torch.Tensor]:
    """What `_choose` found in each call, by row: tokens that are not -inf, those in the bins that it names, which must fit the buffer, those above."""
    seen, kernel = [], module._bisect

    class Watched:
        def __getitem__(self, grid):
            def launch(*arguments, **sizes):
                seen.append(dict(zip(kernel.arg_names, arguments))["numbers"])
                kernel[grid](*arguments, **sizes)
            return launch

    monkeypatch.setattr(module, "_bisect", Watched())
    return seen


@pytest.mark.parametrize("kind", ["normal", "tied"])
def test_a_row_that_does_not_fit_the_buffer_is_cut_at_the_same_place(kind):
    torch.manual_seed(1)
    logits = KINDS[kind]((2, 70)).to(DEVICE)
    k, p = torch.tensor([50, 0], dtype=torch.int32, device=DEVICE), torch.tensor([0.7, 0.95], device=DEVICE)
    tight, wide = (top_k_top_p(logits, k, p, **{**SMALL, "capacity": capacity}) for capacity in (1, 128))
    assert torch.equal(tight, wide)


@pytest.mark.parametrize("unseen", [5.0, -5.0])
def test_a_sample_that_is_not_like_the_row_costs_time_alone(numbers, unseen):
    torch.manual_seed(2)
    logits = torch.randn(3, 70) / 10 + unseen
    logits[:, SEEN] -= unseen
    logits = logits.to(DEVICE)
    k, p = torch.tensor([0, 60, 20], dtype=torch.int32, device=DEVICE), torch.tensor([0.7, 1.0, 0.9], device=DEVICE)
    assert_kept(top_k_top_p(logits, k, p, **SMALL), logits, k, p)
    assert numbers[0][:, 1].max() > SMALL["capacity"], "all fitted the buffer"


@pytest.mark.parametrize("kind", ["heavy tail", "two peaks", "all but one forbidden"])
def test_few_tokens_are_in_question(numbers, kind):
    torch.manual_seed(3)
    logits = KINDS[kind]((3, 2000)).to(DEVICE)
    k, p = torch.tensor([50, 0, 0], dtype=torch.int32, device=DEVICE), torch.tensor([0.9, 0.95, 0.5], device=DEVICE)
    assert_kept(top_k_top_p(logits, k, p, chunk=1024, sample=64), logits, k, p)
    assert (numbers[0][:, 1] < 200).all(), numbers[0]


def test_a_buffer_full_to_the_last_slot(numbers):
    logits, k = torch.arange(64.0, device=DEVICE).repeat(2, 1), torch.tensor([16, 17], dtype=torch.int32, device=DEVICE)
    p = torch.full((2,), 0.9999, device=DEVICE)
    assert_kept(top_k_top_p(logits, k, p, **{**SMALL, "bins": 128}), logits, k, p)
    assert numbers[0][:, 1].tolist() == [16, 17]


@pytest.mark.parametrize("high", [3e38, 1e-38])
def test_logits_of_any_size(high):
    torch.manual_seed(4)
    logits = (torch.rand(3, 70, device=DEVICE) * 2 - 1) * high      # differences may be too large for a float32
    k, p = torch.tensor([1, 40, 0], dtype=torch.int32, device=DEVICE), torch.tensor([1.0, 0.999, 0.5], device=DEVICE)
    assert_kept(top_k_top_p(logits, k, p, **{**SMALL, "capacity": 128}), logits, k, p)


@pytest.mark.parametrize("p", [1e-6, 1 - 2**-24])
def test_a_token_stays_and_none_too_many_however_masses_are_rounded(p):
    torch.manual_seed(5)
    logits, ps = KINDS["heavier tail"]((4, 70)).to(DEVICE), torch.full((4,), p, device=DEVICE)
    assert_kept(top_k_top_p(logits, None, ps, **{**SMALL, "capacity": 128}), logits, None, ps)


def test_who_asks_for_nothing_gets_everything():
    logits = torch.tensor([[3.0, -0.0, NEVER, 1e-40]], device=DEVICE)
    for k, p in ((None, None), (4, None), (0, None), (-1, None), (9, None), (None, 1.0), (4, 1.0)):
        k = None if k is None else torch.tensor([k], dtype=torch.int32, device=DEVICE)
        p = None if p is None else torch.tensor([p], device=DEVICE)
        result = top_k_top_p(logits, k, p, **SMALL)
        assert result is not logits and torch.equal(result.view(torch.int32), logits.view(torch.int32))
    assert top_k_top_p(logits, None, None, logits) is logits


def test_bytes():
    assert bytes_min(3, 100, 2) == 3 * (100 * 2 * 2 + 8)


def test_what_does_not_fit_is_refused():
    logits, k, p = torch.zeros(2, 40), torch.ones(2, dtype=torch.int32), torch.ones(2)
    for arguments, complaint in [((logits, k.long(), p), "k must be"), ((logits, k[:1], p), "k must be"), ((logits, k, p.double()), "p must be"),
                                 ((logits[0], k, p), "logits"), ((logits, k, p, logits[:1]), "out must be"),
                                 ((logits, k, p, logits.half()), "out must be")]:
        with pytest.raises(ValueError, match=complaint):
            top_k_top_p(*arguments)


def test_the_twins_rule_is_the_engines():
    """Which `spec/sampling/` compares with vLLM's. But for ties with the k-th: that rule keeps all, as vLLM's does where it sorts."""
    torch.manual_seed(0)
    logits = torch.randn(50, 300) * 3
    k, p = torch.randint(1, 301, (50,), dtype=torch.int32), torch.rand(50)
    assert torch.equal(top_k_top_p_twin(logits, k, None), keep_top_k(logits, k[:, None]))
    assert torch.equal(top_k_top_p_twin(logits, None, p), keep_top_p(logits, p[:, None]))
    assert torch.equal(top_k_top_p_twin(logits, k, p), keep_top_p(keep_top_k(logits, k[:, None]), p[:, None]))


def full_size(kind: str, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, and a k and a p for each row: some off, most of all sizes."""
    torch.manual_seed(0)
    k = torch.tensor([50, 1, 0, 1000, 20_000, FULL[1], 5, 150_000] * 32, dtype=torch.int32, device=DEVICE)
    p = torch.tensor([0.9, 1.0, 0.5, 0.99, 0.1, 0.7, 0.999], device=DEVICE).repeat(37)[:256].contiguous()
    return KINDS[kind](FULL).to(DEVICE, dtype), k, p


@needs_gpu
@pytest.mark.parametrize("kind", sorted(KINDS))
@each_dtype
def test_at_full_size(kind, dtype):
    logits, k, p = full_size(kind, dtype)
    for arguments in ((k, None), (None, p), (k, p)):
        with unsynchronised():
            result = top_k_top_p(logits, *arguments)
        for rows in range(0, 256, 32):      # float64, a few rows at a time
            some = slice(rows, rows + 32)
            assert_kept(result[some], logits[some], *(None if each is None else each[some] for each in arguments), slack=1e-5)


@needs_gpu
def test_a_row_depends_on_nothing_beside_it():
    logits, k, p = full_size("normal")
    together = top_k_top_p(logits, k, p)
    assert torch.equal(together, top_k_top_p(logits, k, p))
    for row in (0, 3, 4, 10, 255):
        alone = slice(row, row + 1)
        assert torch.equal(together[alone], top_k_top_p(logits[alone], k[alone], p[alone]))


@needs_gpu
def test_replayed_with_other_numbers():
    logits, k, p = full_size("normal")
    out = torch.empty_like(logits)
    graph = captured(lambda: top_k_top_p(logits, k, p, out))
    for kind in ("flat", "peaked", "mostly forbidden"):
        logits.copy_(KINDS[kind](FULL))
        k.copy_(k.roll(1))
        p.copy_(p.roll(3))
        out.fill_(float("nan"))
        graph.replay()
        assert torch.equal(out, top_k_top_p(logits, k, p))


@needs_gpu
@pytest.mark.usefixtures("gigabytes")
def test_rows_further_away_than_32_bits_count():
    logits = torch.empty(2, 2**31 + 8, dtype=torch.bfloat16, device=DEVICE)[:, :20_000]
    logits.copy_(torch.randn(20_000))
    k, p = torch.full((2,), 300, dtype=torch.int32, device=DEVICE), torch.full((2,), 0.9, device=DEVICE)
    before = logits.clone()
    top_k_top_p(logits, k, p, logits)
    assert_kept(logits, before, k, p, slack=1e-5)


@needs_gpu
@vllm_kernels.needs_vllm_kernels
@pytest.mark.parametrize("kind", ["normal", "peaked"])
def test_top_k_is_vllms(kind):
    logits, k, _ = full_size(kind)
    k[k == 0] = FULL[1]     # vLLM's name for off
    assert torch.equal(top_k_top_p(logits, k, None) > NEVER, vllm_kernels.top_k_top_p(logits.clone(), k, None) > NEVER)


@needs_gpu
@vllm_kernels.needs_vllm_kernels
def test_top_p_is_vllms_as_far_as_vllms_goes():
    """vLLM's kernel searches by thirds, and stops after so many steps: of 130,000 tokens it keeps up to 5 % more or fewer. Exactness is `assert_kept`'s."""
    logits, k, p = full_size("normal")
    k[k == 0] = FULL[1]
    for arguments in ((None, p), (k, p)):
        ours, vllms = (kept > NEVER for kept in (top_k_top_p(logits, *arguments), vllm_kernels.top_k_top_p(logits.clone(), *arguments)))
        differ, number = (ours != vllms).sum(-1), ours.sum(-1)
        assert (differ <= 1 + number // 15).all(), (differ, number)


@needs_gpu
@vllm_kernels.needs_vllm_kernels
def test_vllms_top_p_may_keep_a_whole_row():
    """Where a few tokens have nearly all of the mass, the rule keeps them alone, and so does ours; vLLM 0.32.0's kernel keeps all 151,936 in most rows."""
    logits, _, p = full_size("peaked")
    wanted = p < 0.999
    assert ((top_k_top_p(logits, None, p) > NEVER).sum(-1)[wanted] < 20).all()
    assert ((vllm_kernels.top_k_top_p(logits.clone(), None, p) > NEVER).sum(-1)[wanted] == FULL[1]).float().mean() > 0.5
