"""The oracles' tools: playing calls, counting, growth, chance, and tensors."""
import math
import random
import re

import pytest

from drills.answers import load
from drills.judging import Counted, assert_close, count_lines, grows, p_value, play


class Stack(list):
    def top(self):
        return self[-1]


def test_play_compares_what_comes_back_and_tells_the_story():
    class Bottom(Stack):
        def top(self):
            return self[0]

    play([("append", 1), ("append", 2), ("top",), ("pop",)], Stack(), Stack())
    with pytest.raises(AssertionError, match=re.escape("after\n    append(1)\n    append(2)\n    top()\nyours: returns 1\nright: returns 2")):
        play([("append", 1), ("append", 2), ("top",), ("pop",)], Bottom(), Stack())


def test_play_takes_errors_for_outcomes_by_their_type_but_not_what_is_not_written():
    class Other(Stack):
        def top(self):
            raise KeyError("empty")

    class Missing(Stack):
        def top(self):
            raise NotImplementedError("x: top is not written yet")

    play([("top",), ("pop",)], Stack(), Stack())
    with pytest.raises(AssertionError, match=r"yours: raises KeyError \('empty'\), line \d+: raise KeyError\(\"empty\"\)\nright: raises IndexError"):
        play([("top",)], Other(), Stack())
    with pytest.raises(NotImplementedError, match="not written yet"):
        play([("top",)], Missing(), Stack())


def test_play_looks_at_the_invariant_after_each_operation():
    def short(stack):
        assert len(stack) < 3, f"{len(stack)} are too many"

    with pytest.raises(AssertionError, match=re.escape("after\n    append(1)\n    append(2)\n    append(3)\n3 are too many")):
        play([("append", value) for value in (1, 2, 3, 4)], Stack(), Stack(), short)


def test_lines_are_counted_in_the_answer_alone(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text("def loop(n):\n    for _ in range(n):\n        pass\n\ndef two():\n    a = 1\n    return a\n")
    module = load(path)
    costs = {n: count_lines(module, lambda: module.loop(n)) for n in (0, 10, 1000)}
    assert costs == {0: 1, 10: 21, 1000: 2001} and count_lines(module, module.two) == 2 and count_lines(module, lambda: sorted(range(9))) == 0
    import sys
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        count_lines(module, lambda: 1 / 0)
    assert sys.gettrace() is before


def test_comparisons_are_counted():
    Counted.number = 0
    values = [Counted(value) for value in random.Random(0).sample(range(100), 100)]
    assert [each.value for each in sorted(values)] == list(range(100)) and 99 <= Counted.number < 1000
    Counted.number = 0
    assert Counted(3) in {Counted(3): 1} and Counted.number == 3, "two hashes, one comparison"


@pytest.mark.parametrize("cost, power", [(lambda n: 7, 0), (lambda n: 3 * n, 1), (lambda n: n * n, 2), (lambda n: 0, 0)])
def test_growth(cost, power):
    assert grows({n: cost(n) for n in (10, 100, 1000)}) == pytest.approx(power)


# Pearson's statistic by its degrees of freedom, and the tail beyond it, from tables.
@pytest.mark.parametrize("statistic, freedom, tail", [(3.841, 1, 0.05), (6.635, 1, 0.01), (5.991, 2, 0.05), (9.488, 4, 0.05), (18.307, 10, 0.05),
                                                      (23.209, 10, 0.01), (29.588, 10, 0.001), (67.505, 50, 0.05), (86.661, 50, 0.001)])
def test_a_p_value_is_that_of_the_tables(statistic, freedom, tail):
    """Counts whose statistic is the table's: one outcome more, another one less than expected."""
    expected = 1_000_000
    off = math.sqrt(statistic * expected / 2)
    counts = [expected] * (freedom + 1)
    counts[0], counts[1] = expected + off, expected - off
    assert p_value(counts, [1 / (freedom + 1)] * (freedom + 1)) == pytest.approx(tail, rel=0.15)


def test_p_values_of_what_is_right_are_spread_evenly():
    rng = random.Random(0)
    weights = [0.5, 0.2, 0.2, 0.05, 0.04, 0.01]
    values = []
    for _ in range(400):
        draws = rng.choices(range(6), weights, k=500)
        values.append(p_value([draws.count(each) for each in range(6)], weights))
    assert 0.03 < sum(value < 0.1 for value in values) / 400 < 0.17 and 0.4 < sum(value < 0.5 for value in values) / 400 < 0.6
    assert min(values) > 1e-4


def test_a_p_value_notices_what_is_wrong():
    assert p_value([500, 500], [0.4, 0.6]) < 1e-7 and p_value([400, 600], [0.4, 0.6]) > 0.9
    assert p_value([99, 1], [1, 0]) == 0, "what is impossible has happened"
    assert p_value([100, 0], [1, 0]) == 1 and p_value([3], [1]) == 1, "nothing could have come out otherwise"
    assert p_value([1000, *[1] * 100], [1000 / 1100, *[1 / 1100] * 100]) > 0.5, "rare ones count together"
    assert p_value([900, *[2] * 100], [1000 / 1100, *[1 / 1100] * 100]) < 1e-4


def test_tensors_are_compared_with_a_place_and_numbers():
    torch = pytest.importorskip("torch", reason="needs torch: make setup")
    right = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
    assert_close(right.clone(), right, "it")
    assert_close(right + 1e-7, right, "it")
    assert_close(right.half() * 1.001, right.half(), "it")
    assert_close(right + 0.01, right, "it", tolerance=0.01)
    assert_close(torch.empty(0), torch.empty(0), "it")
    for got, words in ((right + 1e-3, r"it: 3 of 4 numbers are wrong; the first at \[0, 0\]: 1.00\d+, should be 1.0"),
                       (right.nan_to_num(9), r"it: 1 of 4 numbers are wrong; the first at \[1, 1\]: 9.0, should be nan"),
                       (right.double(), r"it: expected torch.float32 \[2, 2\], got torch.float64 \[2, 2\]"),
                       (right[0], r"it: expected torch.float32 \[2, 2\], got torch.float32 \[2\]"),
                       ([1], "it: expected a tensor, got list")):
        with pytest.raises(AssertionError, match=words):
            assert_close(got, right, "it")
    with pytest.raises(AssertionError, match="1 of 2"):
        assert_close(torch.tensor([1, 2]), torch.tensor([1, 3]), "integers are equal or wrong")
