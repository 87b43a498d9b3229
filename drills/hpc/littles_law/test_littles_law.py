"""The judge of Little's law. Times are fractions, so that equal is equal."""
import random
from fractions import Fraction

import pytest

from drills.judging import count_lines, grows


def test_concurrency(answer):
    for throughput, latency, right in ((10, 0.5, 5), (4, 2.5, 10), (0, 3, 0)):
        got = answer.concurrency(throughput, latency)
        assert got == pytest.approx(right), f"{throughput} requests a second that stay {latency} s each: {right} at a time, not {got}"


def test_percentiles(answer):
    for values, p, right in (([7], 50, 7), ([7], 0, 7), ([7], 100, 7), ([1, 2], 50, 1), ([1, 2], 51, 2), ([3, 1, 2], 50, 2), ([4, 1, 3, 2], 25, 1),
                             ([4, 1, 3, 2], 75, 3), ([1, 2, 3, 400], 99, 400), ([15, 20, 35, 40, 50], 40, 20), ([15, 20, 35, 40, 50], 30, 20)):
        before = list(values)
        got = answer.percentile(values, p)
        assert values == before, "the values were sorted in place: they belong to the caller"
        assert got == right, f"{p} % of {len(values)} values {values}: {right} is the smallest that {p} % of them do not exceed, not {got}"


def test_percentiles_are_measured_values(answer):
    random.seed(1)
    for number in (2, 3, 10, 20, 25, 100, 1000):
        values = random.sample(range(10 ** 6), number)
        ranked = sorted(values)
        for p in (0, 1, 7, 14, 28, 29, 50, 55, 56, 57, 58, 95, 99, 99.5, 99.9, 100):
            needed = Fraction(str(p)) * number / 100
            right = next(value for rank, value in enumerate(ranked, 1) if rank >= needed)
            got = answer.percentile(values, p)
            assert got in ranked, f"p{p} of {number} values: {got} was never measured; the nearest rank does not interpolate"
            assert got == right, (f"p{p} of {number} values: {float(needed):g} of them must not be above it, so it is number "
                                  f"{ranked.index(right) + 1} in order, yours is number {ranked.index(got) + 1}")


def test_no_values_have_no_percentile(answer):
    with pytest.raises(ValueError):
        answer.percentile([], 50)


def test_first_token_and_between(answer):
    for arrival, times, first, between, each in ((2, [5], 3, [], 0), (2, [5, 6, 9], 3, [1, 3], 2), (0, [0, 4], 0, [4], 4),
                                                 (1, [2, 4, 6, 9, 10], 1, [2, 2, 3, 1], 2)):
        about = f"arrived at {arrival}, tokens at {times}"
        got = answer.time_to_first_token(arrival, times)
        assert got == first, f"{about}: the first token comes after {first} s, not {got}"
        got = list(answer.inter_token_latencies(times))
        assert got == between, f"{about}: between tokens pass {between} s, not {got}; waiting for the first is no inter-token latency"
        got = answer.time_per_output_token(times)
        assert got == each, f"{about}: {each} s for each token after the first, not {got}"


def workload(seed, number, spread):
    random.seed(seed)
    arrivals = sorted(Fraction(random.randint(0, spread), 4) for _ in range(number))
    return arrivals, [Fraction(random.randint(1, 24), 4) for _ in range(number)]


def test_a_queue(answer):
    cases = [([0], [2], 1), ([0, 1], [2, 2], 1), ([0, 1], [2, 2], 2), ([0, 0, 0], [4, 1, 1], 2), ([0, 10], [1, 1], 1), ([], [], 3)]
    cases += [(*workload(seed, 1 + seed // 3, 40), 1 + seed % 4) for seed in range(60)]
    for arrivals, services, servers in cases:
        busy, right = [], []        # when each started one ends
        for arrival, service in zip(arrivals, services):
            start = arrival
            while sum(end > start for end in busy) >= servers:
                start = min(end for end in busy if end > start)
            busy.append(start + service)
            right.append((start, start + service))
        got = [tuple(span) for span in answer.simulate(arrivals, services, servers)]
        assert got == right, (f"arrivals {[float(each) for each in arrivals]}, services {[float(each) for each in services]}, {servers} servers: "
                              f"begin and end are {[(float(a), float(b)) for a, b in right]}, not {[(float(a), float(b)) for a, b in got]}")


def test_a_queue_of_many_servers(answer):
    random.seed(2)
    costs = {}
    for servers in (4, 64, 512):
        arrivals, services = sorted(random.choices(range(100), k=600)), random.choices(range(1, 25), k=600)
        costs[servers] = count_lines(answer, lambda: answer.simulate(arrivals, services, servers))
    assert grows(costs) < 0.5, f"lines executed for 600 requests: {costs[4]} with 4 servers, {costs[512]} with 512: something looks through all servers"


def test_the_mean_in_the_system(answer):
    for arrivals, ends, start, end, right in (([0], [4], 0, 4, 1), ([0], [4], 0, 8, Fraction(1, 2)), ([0, 1], [4, 3], 0, 4, Fraction(3, 2)),
                                              ([0], [4], 2, 4, 1), ([0, 5], [4, 9], 2, 6, Fraction(3, 4)), ([0], [1], 2, 4, 0), ([], [], 0, 1, 0)):
        got = answer.mean_in_system(arrivals, ends, Fraction(start), Fraction(end))
        assert got == right, f"from {arrivals} to {ends}, observed from {start} to {end}: {float(right)} on average, not {float(got)}"


def test_the_law(answer):
    """Over any time that begins and ends with an empty system, it is exact, whatever the queue does."""
    for seed in range(30):
        arrivals, services = workload(seed, 5 + seed, 60)
        spans = answer.simulate(arrivals, services, 1 + seed % 3)
        ends = [end for _, end in spans]
        last, number = Fraction(max(ends)) + seed, len(arrivals)
        latency = sum(end - arrival for arrival, end in zip(arrivals, ends)) / Fraction(number)
        got, right = answer.mean_in_system(arrivals, ends, Fraction(0), last), answer.concurrency(number / last, latency)
        assert got == right, (f"{number} requests in {float(last)} s, a mean latency of {float(latency):.4f} s: {float(right):.4f} in the system on average by "
                              f"Little's law, {float(got):.4f} by mean_in_system")
