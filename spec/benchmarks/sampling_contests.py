"""Races of the sampler's kernels. Logits are float32, as an engine's are by then."""
import torch

from kernels import greedy, gumbel, penalties, top_k_top_p
from reference import vllm_kernels
from spec.benchmarks.contest import CHECKED, Contest, Contestant, exactly, relative


def logits_of(clock, rows, vocabulary) -> torch.Tensor:
    return 3 * torch.randn(rows, vocabulary, device=clock.device)


def draw(clock, rows, vocabulary) -> Contest:
    num_bytes = gumbel.bytes_min(rows, vocabulary)
    temperature = torch.full((rows,), 0.8, device=clock.device)
    seeds, positions = (torch.randint(2**31, (rows,), device=clock.device) for _ in range(2))
    sets = [(logits_of(clock, rows, vocabulary), temperature, seeds, positions) for _ in range(clock.num_sets(num_bytes))]

    def check(tokens) -> None:
        some = slice(0, CHECKED)
        values = gumbel.noisy(sets[0][0][some].double(), temperature[some].double(), seeds[some], positions[some])
        behind = values.amax(-1) - values.gather(1, tokens[some, None])[:, 0]
        assert behind.max() < 1e-4, f"a token was drawn that is worse than another by {behind.max():.3g}"

    return Contest(Contestant(gumbel.gumbel, sets), num_bytes, 0, {"vLLM": lambda: Contestant(vllm_kernels.gumbel, sets)}, check, other_tokens, 0.01)


def choose(clock, rows, vocabulary) -> Contest:
    num_bytes = greedy.bytes_min(rows, vocabulary)
    sets = [(logits_of(clock, rows, vocabulary),) for _ in range(clock.num_sets(num_bytes))]
    nothing = torch.zeros(rows, device=clock.device), *(torch.zeros(rows, dtype=torch.int64, device=clock.device) for _ in range(2))

    def check(tokens) -> None:
        assert torch.equal(sets[0][0].gather(1, tokens[:, None])[:, 0], sets[0][0].amax(-1)), "a token is not the best of its row"

    return Contest(Contestant(greedy.greedy, sets), num_bytes, 0,
                   {"vLLM": lambda: Contestant(vllm_kernels.gumbel, [(logits, *nothing) for logits, in sets]),
                    "torch.argmax": lambda: Contestant(greedy.greedy_twin, sets)}, check, other_tokens, 0.0)


def other_tokens(ours: tuple, theirs: tuple) -> float:
    """The share of rows that got another token."""
    return (ours[0] != theirs[0]).double().mean().item()


def thin_out(clock, rows, vocabulary, k, p) -> Contest:
    """The bar is torch's sort, which is what it takes to do this by sorting; vLLM's kernel works in place."""
    num_bytes = top_k_top_p.bytes_min(rows, vocabulary)
    ks = None if k is None else torch.full((rows,), k, dtype=torch.int32, device=clock.device)
    ps = torch.full((rows,), p, device=clock.device)
    sets = [(logits, ks, ps, torch.empty_like(logits)) for logits in (logits_of(clock, rows, vocabulary) for _ in range(clock.num_sets(num_bytes)))]

    def by_sorting(logits, *rest):
        return torch.sort(logits, dim=-1, descending=True)

    def check(result) -> None:
        expected = top_k_top_p.top_k_top_p_twin(sets[0][0][:CHECKED], None if k is None else ks[:CHECKED], ps[:CHECKED])
        parted = other_cut((result[:CHECKED],), (expected,))
        assert parted <= 0.01, f"{parted:.2%} of the tokens that stay are others than the twin's"

    return Contest(Contestant(top_k_top_p.top_k_top_p, sets), num_bytes, 0,
                   {"vLLM": lambda: Contestant(vllm_kernels.top_k_top_p, [(arguments[0].clone(), ks, ps) for arguments in sets], in_place=(0,)),
                    # Each takes milliseconds, and torch's sort may refuse to be captured.
                    "torch.sort": lambda: Contestant(by_sorting, sets[:2], seen=lambda arguments, returned: None, capture=False)},
                   check, other_cut, 0.02)


def other_cut(ours: tuple, theirs: tuple) -> float:
    """Of the tokens that stay in one or the other, the share that stays in one alone, or was changed."""
    ours, theirs = ours[0], theirs[0]
    stay = (ours > float("-inf")) | (theirs > float("-inf"))
    return ((ours != theirs) & stay).sum().item() / stay.sum().item()


def penalise(clock, rows, vocabulary) -> Contest:
    num_bytes = penalties.bytes_min(rows, vocabulary)
    prompt_mask = penalties.pack(torch.rand(rows, vocabulary, device=clock.device) < 0.01)
    output_counts = torch.randint(-50, 3, (rows, vocabulary), device=clock.device).clamp(min=0).to(torch.int32)
    numbers = tuple(torch.full((rows,), number, device=clock.device) for number in (1.1, 0.5, 0.25))
    begin = logits_of(clock, rows, vocabulary)

    def contestant(launch):
        # The masks and the counts must be cold as well.
        sets = [(begin.clone(), prompt_mask.clone(), output_counts.clone(), *numbers) for _ in range(clock.num_sets(num_bytes))]
        return Contestant(launch, sets, in_place=(0,))

    some = slice(0, CHECKED)

    def twin(logits):
        return (penalties.penalties_twin(logits, prompt_mask[some], output_counts[some], *(number[some] for number in numbers)),)

    return Contest(contestant(penalties.penalties), num_bytes, 0, {"vLLM": lambda: contestant(vllm_kernels.penalties)},
                   exactly(twin, begin[some]), relative, 1e-5)
