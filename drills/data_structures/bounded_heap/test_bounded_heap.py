"""The judge of the bounded heap."""
import gc
import random
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.judging import Counted


class Item:
    """Cannot be compared."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


def right_best(stream, k):
    return sorted(stream, key=lambda each: -each[1])[:k]      # a sort is stable


@given(k=st.integers(1, 5), scores=st.integers(0, 15).flatmap(lambda number: st.lists(st.integers(0, 4), min_size=number, max_size=number)))
def test_any_stream(answer, k, scores):
    top, stream = answer.TopK(k), []
    for number, score in enumerate(scores):
        stream.append((Item(f"#{number}"), score))
        kept, right = top.push(*stream[-1]), right_best(stream, k)
        story = f"k = {k}, after the scores {scores[:number + 1]}:"
        assert top.best() == right, f"{story} the best are {right}, yours {top.best()}"
        assert kept is (stream[-1] in right), f"{story} push returned {kept!r}, but the newcomer is{'' if stream[-1] in right else ' not'} among the best"
        assert len(top) == len(right), f"{story} len is {len(right)}, not {len(top)}"
        threshold = right[-1][1] if len(right) == k else None
        assert top.threshold == threshold, f"{story} the threshold is {threshold}, not {top.threshold}"


def test_equals_stay_in_their_order(answer):
    top, names = answer.TopK(3), "abcde"
    for name in names:
        top.push(Item(name), 7)
    order = "".join(str(item) for item, _ in top.best())
    assert order == "abc", f"five items of score 7, the best 3: those that came first, abc; yours: {order}"
    top.push(Item("f"), 8)
    order = "".join(str(item) for item, _ in top.best())
    assert order == "fab", f"f is better, and of the equals the one that came last has to go: fab; yours: {order}"


def test_scores_of_all_kinds(answer):
    top = answer.TopK(2)
    for name, score in (("a", float("-inf")), ("b", -1.5), ("c", float("-inf")), ("d", 0.0)):
        top.push(name, score)
    assert top.best() == [("d", 0.0), ("b", -1.5)], f"0 and -1.5 are the best of -inf, -1.5, -inf, 0; yours: {top.best()}"
    assert top.best() == [("d", 0.0), ("b", -1.5)], "asking for the best changes nothing"


def test_none_at_all_is_refused(answer):
    for k in (0, -1):
        with pytest.raises(ValueError):
            answer.TopK(k)
    top = answer.TopK(3)
    assert (top.best(), len(top), top.threshold) == ([], 0, None), "nothing has come: nothing is best"


def test_only_the_best_are_kept(answer):
    """A stream is longer than the memory."""
    for scores in (range(1000), range(1000, 0, -1), [1] * 1000):
        top, alive = answer.TopK(10), weakref.WeakSet()
        for score in scores:
            item = Item(str(score))
            alive.add(item)
            top.push(item, score)
            del item
        if len(alive) > 40:     # perhaps in cycles
            gc.collect()
        assert len(alive) <= 40, f"1000 items came, 10 are wanted, {len(alive)} are held: let go of what is not among the best"
        assert len(top.best()) == 10


class Score(Counted):
    __hash__ = Counted.__hash__


def comparisons(top, scores):
    Counted.number = 0
    for score in scores:
        top.push(None, score)
    return Counted.number / len(scores)


def test_most_newcomers_cost_next_to_nothing(answer):
    top, rng = answer.TopK(256), random.Random(0)
    comparisons(top, [Score(1 + rng.random()) for _ in range(256)])
    cost = comparisons(top, [Score(rng.random()) for _ in range(1000)])
    assert cost <= 3, f"a newcomer that is worse than all 256 has to be compared with the worst of them only, yours makes {cost:.0f} comparisons"


def test_a_newcomer_that_stays_costs_a_logarithm(answer):
    top = answer.TopK(512)
    comparisons(top, [Score(value) for value in range(512)])
    cost = comparisons(top, [Score(value) for value in range(512, 1512)])
    assert cost <= 100, f"k = 512, each newcomer is the best so far: {cost:.0f} comparisons each; a logarithm is 9, and 100 would do"
