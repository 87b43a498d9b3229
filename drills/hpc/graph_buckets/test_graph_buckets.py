"""The judge of the graph buckets."""
import itertools
import random

import pytest

from drills.judging import count_lines, grows


def wasted(sizes, histogram):
    """The padding, by the definition; None if a batch fits nowhere."""
    rows = 0
    for batch, count in histogram.items():
        fitting = [size for size in sizes if size >= batch]
        if not fitting:
            return None
        rows += (min(fitting) - batch) * count
    return rows


def least(histogram, graphs):
    """By trying all choices."""
    batches = sorted(histogram)
    return min(wasted(choice, histogram) for number in range(1, graphs + 1) for choice in itertools.combinations(batches, min(number, len(batches)))
               if choice[-1] == batches[-1])


def test_default_sizes(answer):
    for largest, right in ((1, [1]), (2, [1, 2]), (3, [1, 2]), (8, [1, 2, 4, 8]), (20, [1, 2, 4, 8, 16])):
        got = list(answer.default_sizes(largest))
        assert got == right, f"up to {largest}: {right}, not {got}"
    for largest, number, last in ((248, 34, [232, 240, 248]), (256, 35, [240, 248, 256]), (272, 36, [248, 256, 272]), (512, 51, [480, 496, 512])):
        got = list(answer.default_sizes(largest))
        assert len(got) == number and got[-3:] == last, (
            f"up to {largest}: {number} sizes, the last of them {last}; you have {len(got)}, the last of them {got[-3:]}")


def test_dispatch(answer):
    for sizes in ([1], [4], [1, 2, 4, 8], [3, 5, 6, 20], [1, 2, 4, *range(8, 65, 8)]):
        dispatcher = answer.Dispatcher(sizes)
        for batch in range(1, sizes[-1] + 3):
            right = min((size for size in sizes if size >= batch), default=None)
            got = dispatcher.dispatch(batch)
            assert got == right, f"graphs {sizes}, a batch of {batch}: " + (f"graph {right} is the smallest that holds it, not {got}" if right else
                                                                        f"no graph holds it, it has to run without one: None, not {got}")


def test_dispatch_does_not_search(answer):
    costs = {}
    for largest in (8, 64, 2048):
        sizes = list(range(1, largest + 1, 2))
        dispatcher = answer.Dispatcher(sizes)
        costs[largest] = count_lines(answer, lambda: [dispatcher.dispatch(batch) for batch in (1, largest // 2, largest - 1, largest + 1)])
    assert grows(costs) < 0.4, (f"lines executed for 4 lookups: {costs[8]} with 4 graphs, {costs[2048]} with 1024 graphs: it happens in each step, "
                                "so prepare a table, or search by halves")


def test_padding(answer):
    for sizes, histogram, right in (([4], {1: 1}, 3), ([4], {4: 9}, 0), ([2, 4], {1: 10, 3: 1, 4: 5}, 11), ([4], {}, 0)):
        got = answer.padding(sizes, histogram)
        assert got == right, f"graphs {sizes}, batches {histogram}: {right} rows are padding, not {got}"
    with pytest.raises(ValueError):
        answer.padding([2, 4], {1: 1, 5: 1})


def check(answer, histogram, graphs, right):
    __tracebackhide__ = True    # the reader wants the call in the judge
    before = dict(histogram)
    got = list(answer.choose_sizes(histogram, graphs))
    about = f"batches {histogram}, {graphs} graphs"
    assert histogram == before, f"{about}: the histogram was changed"
    assert got == sorted(set(got)), f"{about}: {got} is not ascending"
    assert len(got) <= graphs, f"{about}: {got} are {len(got)} graphs"
    cost = wasted(got, histogram)
    assert cost is not None, f"{about}: {got} has no graph for a batch of {max(histogram)}"
    assert cost <= right, f"{about}: {got} pads {cost} rows, {right} are enough"


def test_a_graph_for_every_batch_pads_nothing(answer):
    for histogram in ({}, {5: 1}, {1: 3, 8: 2}, {3: 1, 4: 1, 9: 1}):
        check(answer, histogram, 3, 0)


def test_few_graphs_for_many_batches(answer):
    check(answer, {1: 1, 8: 1}, 1, 7)
    check(answer, {1: 100, 2: 1, 3: 1}, 2, 1)
    check(answer, {1: 1, 2: 1, 3: 1, 100: 1}, 2, 3)
    random.seed(8)
    for _ in range(60):
        histogram = {batch: random.choice([1, 2, 3, 50]) for batch in random.sample(range(1, 40), random.randint(1, 8))}
        graphs = random.randint(1, 5)
        check(answer, histogram, graphs, least(histogram, graphs))


def test_many_batches(answer):
    """More choices than could ever be tried."""
    random.seed(9)
    histogram = {batch: random.randint(1, 1000) for batch in range(1, 65)}
    check(answer, histogram, 8, 94197)
    check(answer, histogram, 64, 0)


def test_no_graphs_are_refused(answer):
    with pytest.raises(ValueError):
        answer.choose_sizes({1: 1}, 0)
