"""The judge of the flawed benchmarks. It has no list of right answers: it looks on which device each benchmark is honest."""
import random
from collections import Counter

from drills.hpc.fakes import FakeMemory
from drills.hpc.flawed_benchmarks import solution

MIB = 1 << 20
TOLERANCE = 0.04
# What happens on a device so that the flaw shows, and a device on which it cannot.
HAZARDS = {"no warm-up": ("slow first copies", {"cold_copies": 40}, {"cold_copies": 0}),
           "no synchronisation": ("asynchronous copies", {"asynchronous": True}, {"asynchronous": False}),
           "data in the cache": ("a cache", {"cache_bytes": 600 * MIB}, {"cache_bytes": 0}),
           "zeros": ("compression of zeros", {"compresses": True}, {"compresses": False}),
           "a mean over outliers": ("interruptions", {"interruptions": 0.15}, {"interruptions": 0.0}),
           "compilation is timed": ("compilation", {"compile_seconds": 0.01}, {"compile_seconds": 0.0})}


def device(without: str | None = None, only: str | None = None, **more) -> FakeMemory:
    """One with all hazards, without one of them, or with only one of them."""
    parameters = {}
    for name, (_, present, absent) in HAZARDS.items():
        parameters |= absent if name == without or (only and name != only) else present
    return FakeMemory(**parameters | more)


def off(benchmark, seeds=range(3), **which) -> float:
    """By which factor its number is wrong, at worst."""
    worst = 1.0
    for seed in seeds:
        bandwidth = random.Random(seed).choice([2e11, 9e11, 3.35e12])
        worst = max(worst, benchmark(device(bandwidth=bandwidth, seed=seed, **which)) / bandwidth, key=lambda factor: max(factor, 1 / factor))
    return worst


def honest(factor: float) -> bool:
    return abs(factor - 1) < TOLERANCE


def test_each_flaw_has_its_name(answer):
    claimed = answer.flaws()
    assert set(claimed) == {f"flawed_{i}" for i in range(1, 7)}, f"one name for each of flawed_1 to flawed_6; you name {sorted(claimed)}"
    for name, flaw in sorted(claimed.items()):
        assert flaw in HAZARDS, f"{name}: {flaw!r} is none of FLAWS"
        factor = off(getattr(solution, name), without=flaw)
        assert honest(factor), (f'{name}: you say "{flaw}". On a device without {HAZARDS[flaw][0]} that flaw does no harm, yet {name} says '
                                f"{factor:.2f} times the bandwidth there: its flaw is another one")


def check(answer, number):
    __tracebackhide__ = True    # the reader wants the call in the judge
    benchmark = getattr(answer, f"fixed_{number}")
    factor = off(benchmark, seeds=[0], only="nothing")
    assert honest(factor), f"fixed_{number} says {factor:.2f} times the bandwidth of a device without any of the hazards"
    for flaw, (what, _, _) in HAZARDS.items():
        factor = off(benchmark, only=flaw)
        assert honest(factor), f"fixed_{number} says {factor:.2f} times the bandwidth of a device with {what}"
    factor = off(benchmark, seeds=[0], only="data in the cache", cache_bytes=2400 * MIB)
    assert honest(factor), f"fixed_{number} says {factor:.2f} times the bandwidth of a device with a larger cache, of 2400 MiB"
    factor = off(benchmark, seeds=range(6))
    assert honest(factor), f"fixed_{number} says {factor:.2f} times the bandwidth of a device with all hazards together"


def test_the_first_is_honest(answer):
    check(answer, 1)


def test_the_second_is_honest(answer):
    check(answer, 2)
    copied = Counter()

    class Noted(FakeMemory):
        def copy(self, target, source, nbytes=None):
            copied[source.nbytes if nbytes is None else nbytes] += 1
            super().copy(target, source, nbytes)

    answer.fixed_2(Noted())
    missing = [length for length in (solution.SIZE - i * 4096 - 4096 for i in range(solution.ROUNDS)) if copied[length] < 2]
    assert not missing, f"fixed_2 is to hold for the same lengths as flawed_2: {missing} bytes are not copied twice, once to compile and once to measure"


def test_the_third_is_honest(answer):
    check(answer, 3)


def test_the_fourth_is_honest(answer):
    check(answer, 4)


def test_the_fifth_is_honest(answer):
    check(answer, 5)


def test_the_sixth_is_honest(answer):
    check(answer, 6)
