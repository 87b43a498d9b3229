"""The judge of rejection sampling."""
import math

import pytest

from drills.judging import p_value

torch = pytest.importorskip("torch", reason="needs torch: make setup")

MANY = 30_000
# Asymmetric on purpose; token 4 is impossible for the target, token 3 for the draft model.
TARGET = torch.tensor([0.5, 0.2, 0.05, 0.25, 0.0])
DRAFT = torch.tensor([0.1, 0.3, 0.4, 0.0, 0.2])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def sample(answer, drafts, target, draft=None, num=None, bonus=None, greedy=None, seed=0):
    """Call the answer; everything that is left out is the usual: all drafts meant, bonus 1000 + i, nobody greedy."""
    num_reqs, k = drafts.shape
    num = torch.full((num_reqs,), k) if num is None else num
    bonus = 1000 + torch.arange(num_reqs) if bonus is None else bonus
    greedy = torch.zeros(num_reqs, dtype=torch.bool) if greedy is None else greedy
    got = answer.rejection_sample(drafts, num, draft, target, bonus, greedy, seeded(seed))
    assert isinstance(got, torch.Tensor) and got.shape == (num_reqs, k + 1), f"expected a tensor [{num_reqs}, {k + 1}], got {getattr(got, 'shape', type(got))}"
    return got


def one_draft_each(answer, draft_probs, drafts, seed=0):
    """MANY requests with the same two distributions: the first tokens, and how many drafts were accepted (= a bonus follows)."""
    rows = draft_probs.expand(MANY, 1, -1) if draft_probs is not None else None
    got = sample(answer, drafts[:, None], TARGET.expand(MANY, 1, -1).clone(), rows, seed=seed)
    accepted = got[:, 1] != -1
    assert torch.equal(got[accepted, 0], drafts[accepted]), "where a bonus token follows, the draft was accepted: it stands before it"
    return got[:, 0], int(accepted.sum())


def distribution(tokens):
    return torch.bincount(tokens, minlength=len(TARGET)).tolist()


def test_greedy(answer):
    """The target wants 3, 1, 2 after each other."""
    target = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.3, 0.2], [0.3, 0.1, 0.4, 0.2]])
    for drafts, right, why in (([3, 1, 2], [3, 1, 2, 77], "all agree: the bonus token follows"),
                               ([3, 0, 2], [3, 1, -1, -1], "the second disagrees: the target's own token takes its place, and nothing follows"),
                               ([0, 1, 2], [3, -1, -1, -1], "the first disagrees: what was drafted after it was drafted after the wrong token")):
        got = sample(answer, torch.tensor([drafts]), target[None], target[None], bonus=torch.tensor([77]), greedy=torch.tensor([True]))[0].tolist()
        assert got == right, f"greedy, drafts {drafts}, the target wants [3, 1, 2], bonus 77: got {got}, expected {right}: {why}"


def test_the_first_token_is_the_targets(answer):
    drafts = torch.multinomial(DRAFT, MANY, replacement=True, generator=seeded(1))
    tokens, _ = one_draft_each(answer, DRAFT, drafts)
    counts, chance = distribution(tokens), p_value(distribution(tokens), TARGET.tolist())
    assert chance > 1e-4, (f"{MANY} drafts from {DRAFT.tolist()}, target {TARGET.tolist()}: the tokens come out {counts} times. "
                           f"A sampler of the target would give that with a probability of {chance:.1e}")


def test_as_many_are_accepted_as_can_be(answer):
    drafts = torch.multinomial(DRAFT, MANY, replacement=True, generator=seeded(2))
    _, accepted = one_draft_each(answer, DRAFT, drafts, seed=12)
    best = torch.minimum(TARGET, DRAFT).sum().item()
    spread = math.sqrt(best * (1 - best) * MANY)
    assert abs(accepted - best * MANY) < 5 * spread, (
        f"{accepted} of {MANY} drafts are accepted; min(1, target / draft) accepts the sum of min(target, draft), {best:.2f} of them, "
        f"{best * MANY:.0f} +- {spread:.0f}: fewer is speed thrown away, more is another distribution")


def test_drafts_that_are_certain_of_themselves(answer):
    """No draft probabilities, as from an n-gram proposer: the draft model said 1 for its token."""
    for draft in (1, 0, 4):
        tokens, accepted = one_draft_each(answer, None, torch.full((MANY,), draft), seed=draft)
        chance = p_value(distribution(tokens), TARGET.tolist())
        assert chance > 1e-4, (f"the draft is always {draft}, without probabilities, target {TARGET.tolist()}: the tokens come out {distribution(tokens)} "
                               f"times, which has a probability of {chance:.1e}")
        assert p_value([accepted, MANY - accepted], [TARGET[draft].item(), 1 - TARGET[draft].item()]) > 1e-4, (
            f"the draft {draft} is accepted {accepted} times of {MANY}, expected a share of {TARGET[draft]:.2f}")


def test_the_second_token_is_the_targets_after_the_first(answer):
    generator = seeded(3)
    draft_after, target_after = (torch.softmax(1.5 * torch.randn(5, 5, generator=generator), 1) for _ in range(2))
    first = torch.multinomial(DRAFT, MANY, replacement=True, generator=generator)
    second = torch.multinomial(draft_after[first], 1, generator=generator)[:, 0]
    got = sample(answer, torch.stack([first, second], 1), torch.stack([TARGET.expand(MANY, -1), target_after[first]], 1),
                 torch.stack([DRAFT.expand(MANY, -1), draft_after[first]], 1))
    assert not ((got[:, 1] == -1) & (got[:, 2] != -1)).any(), "after a rejection nothing follows, certainly no bonus token"
    reached = got[:, 1] != -1
    assert torch.equal(got[reached, 0], first[reached]), "a second token can only follow an accepted first one"
    for token in (0, 1, 2):
        seconds = got[reached & (first == token), 1]
        counts, chance = distribution(seconds), p_value(distribution(seconds), target_after[token].tolist())
        assert chance > 1e-4, f"after token {token}, the second tokens come out {counts} times; the target gives that with a probability of {chance:.1e}"


def test_what_the_target_would_draw_anyway_is_accepted(answer):
    probs = torch.softmax(torch.randn(500, 3, 7, generator=seeded(4)), 2)
    drafts = torch.multinomial(probs.flatten(0, 1), 1, generator=seeded(5)).view(500, 3)
    got = sample(answer, drafts, probs, probs.clone())
    right = torch.cat([drafts, 1000 + torch.arange(500)[:, None]], 1)
    assert torch.equal(got, right), f"draft and target agree: every draft is accepted, and the bonus follows; {int((got != right).any(1).sum())} of 500 differ"


def test_a_draft_that_could_not_be_drawn(answer):
    """Token 3 has a draft probability of 0 and yet it was drafted."""
    drafts = torch.full((2000, 1), 3)
    got = sample(answer, drafts, TARGET.expand(2000, 1, -1).clone(), DRAFT.expand(2000, 1, -1).clone())
    assert (got[:, 1] == -1).all(), "a draft with a draft probability of 0 is rejected: the quotient has no meaning"
    left = (TARGET - DRAFT).clamp(min=0)
    assert p_value(distribution(got[:, 0]), (left / left.sum()).tolist()) > 1e-4, (
        f"after a rejection the token comes from the residual {left.tolist()}, normalised; got {distribution(got[:, 0])}")


def test_drafts_of_different_lengths(answer):
    """What lies behind the drafts of a request is not a number, and the tokens there mean nothing."""
    target = torch.zeros(4, 3, 4)
    for position, token in enumerate((3, 1, 2)):
        target[:, position, token] = 1
    drafts = torch.tensor([[3, 1, 2]]).repeat(4, 1)
    num = torch.tensor([0, 1, 2, 3])
    for i in range(4):
        target[i, i:] = float("nan")
    right = [[70, -1, -1, -1], [3, 71, -1, -1], [3, 1, 72, -1], [3, 1, 2, 73]]
    for greedy in (torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool), torch.tensor([True, False, True, False])):
        for draft in (None, target.clone()):
            got = sample(answer, drafts, target, draft, num, 70 + torch.arange(4), greedy).tolist()
            assert got == right, (f"0, 1, 2 and 3 drafts, greedy {greedy.tolist()}, with{'out' if draft is None else ''} draft probabilities, each draft "
                                  f"certain for the target: got {got}, expected {right}: the bonus token of a request follows its own last draft")


def test_nothing_to_do(answer):
    got = sample(answer, torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 2, 5))
    assert got.shape == (0, 3)
    got = sample(answer, torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0, 5))
    assert got.tolist() == [[1000], [1001]], f"without drafts a step gives the bonus token, an ordinary sample of the target: got {got.tolist()}"


def test_the_generator_decides(answer):
    drafts = torch.multinomial(DRAFT, 200, replacement=True, generator=seeded(6))[:, None]
    target, draft = TARGET.expand(200, 1, -1).clone(), DRAFT.expand(200, 1, -1).clone()
    before = target.clone(), draft.clone(), drafts.clone()
    torch.manual_seed(1)
    first = sample(answer, drafts, target, draft, seed=9)
    torch.manual_seed(2)
    again = sample(answer, drafts, target, draft, seed=9)
    assert torch.equal(again, first), "the same generator in the same state gives the same tokens: use it for every draw"
    assert not torch.equal(sample(answer, drafts, target, draft, seed=10), first), "another seed gives other tokens"
    assert all(torch.equal(*pair) for pair in zip(before, (target, draft, drafts))), "the inputs are not yours to change"
