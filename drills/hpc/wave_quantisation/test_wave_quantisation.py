"""The judge of wave quantisation."""
import random

import pytest


def simulated(costs, places):
    """Time of programs in waves of so many places: a wave lasts as long as its slowest program."""
    return sum(max(costs[i:i + places]) for i in range(0, len(costs), places))


def test_waves(answer):
    for programs, sms, per_sm, right in ((0, 4, 1, 0), (1, 4, 1, 1), (4, 4, 1, 1), (5, 4, 1, 2), (8, 4, 2, 1), (9, 4, 2, 2),
                                         (133, 132, 1, 2), (264, 132, 2, 1)):
        got = answer.waves(programs, sms, per_sm)
        assert got == right, f"{programs} programs, {sms} SMs, {per_sm} on each at a time: {right} waves, not {got}"


def test_efficiency(answer):
    for programs, sms, per_sm, right in ((0, 4, 1, 1.0), (1, 4, 1, 0.25), (4, 4, 1, 1.0), (5, 4, 1, 0.625), (6, 4, 2, 0.75), (133, 132, 1, 133 / 264)):
        got = answer.efficiency(programs, sms, per_sm)
        assert got == pytest.approx(right), f"{programs} programs on {sms} SMs with {per_sm} each: {right:.1%} of the places are used, not {got:.1%}"


def test_the_time_of_a_split(answer):
    random.seed(3)
    cases = [(1, 1, 1, 1, 1, 0), (1, 8, 4, 4, 1, 0), (1, 9, 4, 4, 1, 0), (3, 8, 2, 4, 1, 0.5), (2, 10, 1, 1, 1, 7.0)]
    for _ in range(100):
        blocks = random.randint(1, 60)
        cases.append((random.randint(1, 20), blocks, random.randint(1, blocks), random.randint(1, 12), random.randint(1, 3), random.choice([0, 0.5, 2])))
    for pairs, blocks, splits, sms, per_sm, merge in cases:
        got = answer.decode_time(pairs, blocks, splits, sms, per_sm, merge)
        longest = max(len(range(i, blocks, splits)) for i in range(splits))
        right = simulated([longest] * (pairs * splits), sms * per_sm) + (merge * splits if splits > 1 else 0)
        assert got == pytest.approx(right), (
            f"{pairs} pairs of {blocks} blocks, {splits} splits, {sms} SMs with {per_sm} programs each, {merge} to merge a split: the longest split has "
            f"{longest} blocks, which takes {right:g}, not {got:g}")


def best(answer, pairs, blocks, sms, per_sm, merge, most):
    """Judge one choice by the time it takes; every place is tried."""
    __tracebackhide__ = True    # the reader wants the call in the judge
    got = answer.best_splits(pairs, blocks, sms, per_sm, merge, most)
    about = f"{pairs} pairs of {blocks} blocks, {sms} SMs with {per_sm} programs each, {merge} to merge a split, at most {most} splits"
    assert isinstance(got, int) and 1 <= got <= min(blocks, most), f"{about}: {got!r} splits are no choice"

    def seconds(splits):
        return simulated([-(-blocks // splits)] * (pairs * splits), sms * per_sm) + (merge * splits if splits > 1 else 0)

    right = min(range(1, min(blocks, most) + 1), key=lambda splits: (seconds(splits), splits))
    assert seconds(got) <= seconds(right), f"{about}: your {got} splits take {seconds(got):g}, but {right} would take {seconds(right):g}"
    assert got == right, f"{about}: {got} splits take as long as {right}; fewer are better then, they need less memory for their results"


def test_a_pair_alone_fills_the_machine(answer):
    best(answer, 1, 64, 8, 1, 0, 128)
    best(answer, 1, 5, 8, 1, 0, 128)
    best(answer, 1, 1, 8, 1, 0, 128)


def test_enough_pairs_are_not_split(answer):
    best(answer, 8, 64, 8, 1, 0, 128)
    best(answer, 16, 64, 8, 1, 1, 128)


def test_a_wave_which_is_nearly_empty(answer):
    """5 pairs on 8 SMs: one split leaves 3 SMs idle, two make a second wave of 2 programs."""
    best(answer, 5, 64, 8, 1, 0, 128)
    best(answer, 9, 64, 8, 1, 0, 128)
    best(answer, 67, 32, 132, 1, 0, 128)


def test_merging_costs(answer):
    for merge in (0.5, 2, 30):
        best(answer, 1, 64, 16, 1, merge, 128)


def test_any_case(answer):
    random.seed(4)
    for _ in range(150):
        best(answer, random.randint(1, 40), random.randint(1, 60), random.randint(1, 24), random.randint(1, 3),
             random.choice([0, 0.25, 1]), random.choice([4, 16, 128]))
