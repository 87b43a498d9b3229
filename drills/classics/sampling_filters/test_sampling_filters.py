"""The judge of the sampling filters."""
import math
from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from drills.judging import count_lines, grows

torch = pytest.importorskip("torch", reason="needs torch: make setup")

NEVER = float("-inf")


def thin_out(answer, rows, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """Lists in, lists out; one value stands for all rows."""
    def column(value, dtype):
        return torch.tensor(value if isinstance(value, list) else [value] * len(rows), dtype=dtype)

    inputs = (torch.tensor(rows, dtype=torch.float32), column(temperature, torch.float32), column(top_k, torch.int64),
              column(top_p, torch.float32), column(min_p, torch.float32))
    before = [each.clone() for each in inputs]
    got = answer.thin_out(*inputs)
    assert all(torch.equal(old, new) for old, new in zip(before, inputs)), "the inputs have been changed: logits are needed for logprobs too"
    assert got.shape == inputs[0].shape and got.dtype == torch.float32, f"expected float32 {list(inputs[0].shape)}, got {got.dtype} {list(got.shape)}"
    assert not got.isnan().any(), f"NaN in {got.tolist()}"
    return got.tolist()


def kept(row):
    return [token for token, logit in enumerate(row) if logit > NEVER]


def keeps(answer, row, right, why, **params):
    got = kept(thin_out(answer, [row], **params)[0])
    assert got == right, f"logits {row}, {params}: tokens {got} are kept, should be {right}: {why}"


def right_row(row, temperature, top_k, top_p, min_p):
    """In float64, token by token: {token: logit} and whether the decision was clear. Of equal ones that top-p divides, the count is right."""
    if temperature < 1e-5:
        best = row.index(max(row))
        return {best: row[best]}, True
    scaled = {token: logit / temperature for token, logit in enumerate(row) if logit > NEVER}
    clear = True

    def probabilities():
        top = max(scaled.values())
        weights = {token: math.exp(logit - top) for token, logit in scaled.items()}
        return {token: weight / sum(weights.values()) for token, weight in weights.items()}

    probability = probabilities()
    threshold = min_p * max(probability.values())
    clear &= all(abs(each - threshold) > 1e-6 for each in probability.values()) or not min_p
    scaled = {token: logit for token, logit in scaled.items() if probability[token] >= threshold}
    if 0 < top_k < len(row):
        kth = sorted(scaled.values(), reverse=True)[:top_k][-1]
        scaled = {token: logit for token, logit in scaled.items() if logit >= kth}
    if top_p < 1:
        probability, together = probabilities(), 0.0
        for token in sorted(scaled, key=scaled.get)[:-1]:
            together += probability[token]
            clear &= abs(together - (1 - top_p)) > 1e-5
            if together <= 1 - top_p:
                del scaled[token]
    return scaled, clear


def test_nothing_is_asked_for(answer):
    row = [1.0, -2.0, NEVER, 0.5]
    got = thin_out(answer, [row])[0]
    assert got == row, f"temperature 1 and no filter: {row} should stay as it is, not become {got}"
    keeps(answer, row, [0, 1, 3], "beyond the vocabulary, there is no limit", top_k=99)
    keeps(answer, row, [0, 1, 3], "below 1, there is no limit", top_k=-1)


def test_the_temperature(answer):
    got = thin_out(answer, [[1.0, -2.0, NEVER, 0.5]], temperature=0.5)[0]
    assert got == [2.0, -4.0, NEVER, 1.0], f"[1, -2, -inf, 0.5] at a temperature of 0.5 are [2, -4, -inf, 1], not {got}"


def test_greedy(answer):
    """A temperature of 0 cannot be divided by: only the best token stays, the first of equals."""
    for temperature in (0.0, 1e-6):
        got = thin_out(answer, [[1.0, 3.0, 2.0]], temperature=temperature)[0]
        assert got == [NEVER, 3.0, NEVER], f"logits [1, 3, 2], temperature {temperature}: only token 1 stays, with its logit, not {got}"
        keeps(answer, [1.0, 3.0, 3.0], [1], "greedy: the first of the best", temperature=temperature)
        keeps(answer, [-5.0, NEVER, -9.0], [0], "greedy, with other filters", temperature=temperature, top_k=3, top_p=0.999, min_p=0.001)


def test_top_k(answer):
    row = [1.0, 5.0, 3.0, 4.0, 2.0]
    for top_k, right in ((1, [1]), (2, [1, 3]), (4, [1, 2, 3, 4]), (5, [0, 1, 2, 3, 4])):
        keeps(answer, row, right, f"the best {top_k}", top_k=top_k)
    keeps(answer, [1.0, NEVER, 3.0], [0, 2], "-inf stays out, also if it is among the best 3", top_k=3)


def test_who_ties_with_the_kth_stays(answer):
    """There is no reason to prefer one of them; so more than k can remain."""
    keeps(answer, [2.0, 5.0, 2.0, 1.0, 2.0], [0, 1, 2, 4], "three tie for the second place", top_k=2)
    keeps(answer, [0.0, 0.0, 0.0], [0, 1, 2], "all tie for the first place", top_k=1)


def test_top_p(answer):
    """The least probable that together have no more than 1 - top_p go."""
    row = [math.log(share) for share in (0.1, 0.4, 0.2, 0.3)]
    for top_p, right in ((0.95, [0, 1, 2, 3]), (0.85, [1, 2, 3]), (0.75, [1, 2, 3]), (0.65, [1, 3]), (0.35, [1])):
        keeps(answer, row, right, "probabilities 0.1 0.4 0.2 0.3", top_p=top_p)


def test_top_p_at_the_limit(answer):
    """Four equal ones have a fourth each, exactly: with 1 - top_p = 0.25, one of them goes. Which one does not matter."""
    got = kept(thin_out(answer, [[1.0] * 4], top_p=0.75)[0])
    assert len(got) == 3, f"four equal logits, top_p 0.75: {len(got)} are kept, should be 3: the left out may have 0.25 together, and do"


def test_the_best_always_stays(answer):
    row = [1.0, 5.0, 3.0]
    for top_p in (1e-3, 1e-9):
        keeps(answer, row, [1], "at least the best token stays", top_p=top_p)
    keeps(answer, [-3e4, NEVER, -3e4 - 50], [0], "at least the best token stays", top_p=1e-9, min_p=1.0, top_k=1)


def test_min_p(answer):
    """Relative to the best: less than min_p times as probable goes."""
    row = [math.log(share) for share in (0.5, 0.2, 0.04, 0.26)]
    for min_p, right in ((0.05, [0, 1, 2, 3]), (0.1, [0, 1, 3]), (0.45, [0, 3]), (0.9, [0]), (1.0, [0])):
        keeps(answer, row, right, "probabilities 0.5 0.2 0.04 0.26", min_p=min_p)
    keeps(answer, [2.0, 1.0, 2.0], [0, 2], "as probable as the best is not less probable", min_p=1.0)


def test_the_temperature_comes_first(answer):
    """It changes the probabilities that top-p and min-p look at."""
    row = [math.log(share) for share in (0.6, 0.3, 0.1)]
    keeps(answer, row, [0, 1, 2], "at a temperature of 5 they are nearly equal: 0.39 0.34 0.27", temperature=5.0, top_p=0.8)
    keeps(answer, row, [0], "at a temperature of 0.2 the first has 0.97", temperature=0.2, top_p=0.8)
    keeps(answer, row, [0, 1, 2], "at a temperature of 5 they are nearly equal", temperature=5.0, min_p=0.5)


def test_top_p_sees_what_the_others_left(answer):
    """The probabilities are shared out anew among those that top-k and min-p keep."""
    row = [math.log(share) for share in (0.3, 0.25, 0.2, 0.15, 0.1)]
    keeps(answer, row, [0], "of the best two, the second has 0.45, no more than 1 - 0.5", top_k=2, top_p=0.5)
    keeps(answer, row, [0], "min_p keeps the best two, of which the second has 0.45, no more than 1 - 0.5", min_p=0.8, top_p=0.5)


def test_each_row_has_its_own_parameters(answer):
    rows = [[1.0, 5.0, 3.0, 4.0], [1.0, 5.0, 3.0, 4.0], [4.0, 1.0, 3.0, 2.0], [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 0.0]]
    got = thin_out(answer, rows, temperature=[1.0, 0.5, 1.0, 0.0, 2.0], top_k=[1, 3, 0, 2, 0], top_p=[1.0, 1.0, 0.9, 1.0, 1.0], min_p=[0.0, 0.0, 0.0, 0.0, 0.5])
    right = [[1], [1, 2, 3], [0, 2, 3], [3], [0, 1, 2]]
    for index, (row, tokens) in enumerate(zip(got, right)):
        assert kept(row) == tokens, f"row {index} of a mixed batch keeps {kept(row)}, should keep {tokens}: its own parameters count"
    assert thin_out(answer, rows[:1], top_k=2) == thin_out(answer, rows, top_k=[2, 1, 1, 1, 1])[:1], "a row has to come out the same whatever is beside it"


LOGITS = st.one_of(st.integers(-4, 4).map(float), st.floats(-8, 8, width=32), st.just(NEVER))
ROWS = st.lists(st.tuples(st.lists(LOGITS, min_size=6, max_size=6), st.sampled_from([0.0, 0.5, 1.0, 1.5]), st.integers(-1, 8),
                          st.sampled_from([1.0, 0.95, 0.8, 0.6, 0.41, 0.013]), st.sampled_from([0.0, 0.03, 0.33, 0.6])), min_size=1, max_size=4)


@settings(max_examples=60)
@given(batch=ROWS)
def test_any_batch(answer, batch):
    assume(all(max(row[0]) > NEVER for row in batch))
    compare(answer, batch)


def test_a_large_batch(answer):
    random = Random(1)
    compare(answer, [([round(random.gauss(0, 2), 1) for _ in range(12)], random.choice([0.0, 0.5, 1.0, 2.0]), random.randint(0, 13),
                      random.choice([1.0, random.random()]), random.choice([0.0, random.random()])) for _ in range(300)])


def compare(answer, batch):
    """Rows with all their parameters, against token by token in float64."""
    got = thin_out(answer, *(list(column) for column in zip(*batch)))
    for row, params in zip(got, batch):
        right, clear = right_row(*params)
        if not clear:       # float32 may say either
            continue
        what = f"logits {params[0]}, temperature {params[1]}, top_k {params[2]}, top_p {params[3]}, min_p {params[4]}"
        mine = {token: row[token] for token in kept(row)}
        assert Counter(round(each, 4) for each in mine.values()) == Counter(round(each, 4) for each in right.values()), (
            f"{what}: keeps {mine}, should keep {right} (in a batch of {len(batch)})")
        scale = params[1] if params[1] > 1e-5 else 1.0
        assert all(math.isclose(row[token], params[0][token] / scale, rel_tol=1e-5, abs_tol=1e-6) for token in mine), (
            f"{what}: what is kept has its logit, divided by the temperature; got {mine}")


def test_all_rows_at_once(answer):
    costs = {}
    for rows in (4, 64):
        inputs = torch.randn(rows, 8), torch.ones(rows), torch.full((rows,), 3), torch.full((rows,), 0.9), torch.full((rows,), 0.01)
        costs[rows] = count_lines(answer, lambda: answer.thin_out(*inputs))
    assert grows(costs) < 0.1, f"lines executed: {costs[4]} for 4 rows, {costs[64]} for 64: a loop over rows is a kernel launch for each"
