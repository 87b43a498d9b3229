"""The judge of Gumbel-max sampling."""
import pytest

from drills.judging import count_lines, grows, p_value

torch = pytest.importorskip("torch", reason="needs torch: make setup")

NEVER = float("-inf")
NUMBER = 20_000


def whole(*numbers):
    return torch.tensor(numbers, dtype=torch.int64)


def test_one_token(answer):
    got = answer.gumbel_max(torch.zeros(1, 1), whole(7), whole(0))
    assert got.tolist() == [0] and got.dtype == torch.int64, f"one row, one token: expected tensor([0]), got {got}"
    assert answer.gumbel_max(torch.zeros(0, 5), whole(), whole()).shape == (0,), "no row, no token"


def test_uniform_is_above_0_and_below_1(answer):
    """log(0) is -inf, and -log(1) is 0, whose log is -inf."""
    got = answer.uniform(torch.arange(200) * 100_003, torch.arange(200) % 3, 500)
    assert got.shape == (200, 500) and got.dtype == torch.float64, f"expected float64 [200, 500], got {got.dtype} {list(got.shape)}"
    assert got.min() > 0 and got.max() < 1, f"the numbers go from {got.min().item()} to {got.max().item()}: 0 and 1 have no Gumbel noise"
    counts = (got * 20).long().flatten().bincount(minlength=20).tolist()
    p = p_value(counts, [1 / 20] * 20)
    assert p > 1e-4, f"100000 uniform numbers fall into 20 equal parts {counts} times: p = {p:.2g}"


def test_the_numbers_of_a_row_are_a_row_of_their_own(answer):
    """No number comes twice: neither shifted by one for the next seed or position, nor for seed and position exchanged."""
    seeds, positions = whole(0, 1, 2, 0, 1, 2, 1000, 3), whole(0, 0, 0, 1, 1, 2, 0, 1000)
    got = answer.uniform(seeds, positions, 300)
    for one in range(len(seeds)):
        assert len(got[one].unique()) == 300, (
            f"seed {seeds[one]}, position {positions[one]}: only {len(got[one].unique())} different numbers for 300 tokens: each token has its own noise")
        for other in range(one):
            common = torch.isin(got[one], got[other]).sum().item()
            assert common == 0, (
                f"seed {seeds[one]} at position {positions[one]} and seed {seeds[other]} at position {positions[other]} have {common} of 300 numbers "
                "in common: they would draw alike")


def test_the_distribution_over_seeds(answer):
    check_distribution(answer, torch.arange(NUMBER) * 7 - 5000, torch.zeros(NUMBER, dtype=torch.int64), "many seeds, position 0")


def test_the_distribution_over_positions(answer):
    check_distribution(answer, torch.full((NUMBER,), 42), torch.arange(NUMBER), "seed 42, many positions")


def check_distribution(answer, seeds, positions, what):
    for logits in ([0.0, 0.0], [2.0, 1.0, 0.0, -1.0, NEVER, 1.5], [5.0, 0.0, -2.0, 4.0]):
        row = torch.tensor(logits)
        tokens = answer.gumbel_max(row.expand(NUMBER, -1), seeds, positions)
        counts, right = tokens.bincount(minlength=len(logits)).tolist(), row.double().softmax(-1).tolist()
        p = p_value(counts, right)
        assert p > 1e-4, (f"{what}, logits {logits}: each token should be drawn as often as its softmax says, "
                          f"{[round(each * NUMBER) for each in right]} times of {NUMBER}, and is {counts} times (p = {p:.2g})")


def test_positions_are_independent(answer):
    """What comes now says nothing about what comes next."""
    logits = torch.zeros(NUMBER, 3)
    tokens = answer.gumbel_max(logits, torch.full((NUMBER,), 3), torch.arange(NUMBER))
    counts = (3 * tokens[:-1] + tokens[1:]).bincount(minlength=9).tolist()
    p = p_value(counts, [1 / 9] * 9)
    assert p > 1e-4, f"pairs of successive tokens of one request come {counts} times, should come equally often (p = {p:.2g})"


def test_the_same_seed_the_same_token_whatever_the_batch(answer):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(64, 50, generator=generator)
    seeds, positions = torch.randint(0, 2**31, (64,), generator=generator), torch.randint(0, 1000, (64,), generator=generator)
    together = answer.gumbel_max(logits, seeds, positions)
    for row in range(0, 64, 9):
        alone = answer.gumbel_max(logits[row:row + 1], seeds[row:row + 1], positions[row:row + 1]).item()
        assert alone == together[row], f"row {row} gets token {together[row]} in a batch of 64, and {alone} alone: only its seed and position may count"
    order = torch.randperm(64, generator=generator)
    moved = answer.gumbel_max(logits[order], seeds[order], positions[order])
    assert torch.equal(moved, together[order]), f"{(moved != together[order]).sum()} of 64 rows get another token when the rows change places"
    torch.manual_seed(5)
    assert torch.equal(answer.gumbel_max(logits, seeds, positions), together), "a second call gives other tokens: the noise must not come from a generator"


def test_the_same_seed_and_logits_give_the_same_token(answer):
    logits = torch.zeros(2, 1000)
    tokens = answer.gumbel_max(logits, whole(9, 9), whole(4, 4)).tolist()
    assert tokens[0] == tokens[1], f"two rows with the same logits, seed and position get {tokens}"


def test_a_padded_vocabulary(answer):
    """The noise of a token is its own: more tokens behind it, which cannot come, change nothing."""
    logits = torch.zeros(200, 40)
    seeds, positions = torch.arange(200), torch.zeros(200, dtype=torch.int64)
    padded = torch.cat([logits, torch.full((200, 24), NEVER)], dim=1)
    short, long = answer.gumbel_max(logits, seeds, positions), answer.gumbel_max(padded, seeds, positions)
    assert torch.equal(short, long), f"{(short != long).sum()} of 200 rows get another token when the vocabulary is padded from 40 to 64 with -inf"


def test_forbidden_tokens_never_come(answer):
    logits = torch.full((500, 20), NEVER)
    logits[:, 13] = -50.0
    tokens = answer.gumbel_max(logits, torch.arange(500), torch.zeros(500, dtype=torch.int64))
    assert (tokens == 13).all(), f"only token 13 is allowed, and {(tokens != 13).sum()} of 500 rows get another"


def test_big_logits(answer):
    """Noise is added, so nothing overflows."""
    logits = torch.tensor([[30000.0, 30000.0 - 200, -30000.0]]).expand(500, -1)
    tokens = answer.gumbel_max(logits, torch.arange(500), torch.zeros(500, dtype=torch.int64))
    assert (tokens == 0).all(), f"token 0 is ahead by 200, which no noise makes up, and {(tokens != 0).sum()} of 500 rows get another"


def test_seeds_of_any_size(answer):
    seeds = whole(0, -1, 2**63 - 1, -2**63, 2**32, 2**31)
    row = torch.zeros(300)
    got = answer.uniform(seeds, torch.zeros_like(seeds), 300)
    assert len(got.unique()) == got.numel(), (
        f"seeds {seeds.tolist()}: only {len(got.unique())} of {got.numel()} numbers are different: all 64 bits of a seed count")
    tokens = answer.gumbel_max(row.expand(len(seeds), -1), seeds, torch.zeros_like(seeds))
    assert ((tokens >= 0) & (tokens < 300)).all(), f"tokens {tokens.tolist()} of a vocabulary of 300"


def test_all_rows_at_once(answer):
    costs = {rows: count_lines(answer, lambda: answer.gumbel_max(torch.zeros(rows, 8), torch.arange(rows), torch.arange(rows))) for rows in (4, 64)}
    assert grows(costs) < 0.1, f"lines executed: {costs[4]} for 4 rows, {costs[64]} for 64: do all rows at once"
