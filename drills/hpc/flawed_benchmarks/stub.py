"""Six flawed benchmarks: your answer. The problem is in drills/hpc/flawed_benchmarks/README.md."""
import statistics
from itertools import cycle
from drills.hpc.fakes import FakeMemory

SIZE = 64 << 20     # bytes

ROUNDS = 15

WARM_UP = 60        # copies

FLAWS = ("no warm-up", "no synchronisation", "data in the cache", "zeros", "a mean over outliers", "compilation is timed")


def pairs_of(device: FakeMemory, fill: str = "random") -> list[tuple]:
    """Pairs of buffers (target, source), which together are larger than the cache."""
    return [(device.allocate(SIZE, fill), device.allocate(SIZE, fill)) for _ in range(device.cache_bytes // (2 * SIZE) + 1)]


def flawed_1(device: FakeMemory) -> float:
    rotation = cycle(pairs_of(device))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / (sum(times) / ROUNDS)


def flawed_2(device: FakeMemory) -> float:
    rotation = cycle(pairs_of(device))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    rates = []
    for i in range(ROUNDS):     # several lengths, for a number that holds for all
        nbytes = SIZE - i * 4096 - 4096
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation), nbytes)
        device.synchronize()
        rates.append(2 * nbytes / (device.clock() - start))
    return statistics.median(rates)


def flawed_3(device: FakeMemory) -> float:
    rotation = cycle(pairs_of(device))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    device.synchronize()
    times = []
    for _ in range(ROUNDS):
        start = device.clock()
        device.copy(*next(rotation))
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)


def flawed_4(device: FakeMemory) -> float:
    rotation = cycle(pairs_of(device, fill="zeros"))
    for _ in range(WARM_UP):
        device.copy(*next(rotation))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)


def flawed_5(device: FakeMemory) -> float:
    rotation = cycle(pairs_of(device))
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(*next(rotation))
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)


def flawed_6(device: FakeMemory) -> float:
    target, source = pairs_of(device)[0]
    for _ in range(WARM_UP):
        device.copy(target, source)
    times = []
    for _ in range(ROUNDS):
        device.synchronize()
        start = device.clock()
        device.copy(target, source)
        device.synchronize()
        times.append(device.clock() - start)
    return 2 * SIZE / statistics.median(times)


def flaws() -> dict[str, str]:
    """The flaw of each benchmark by its name, "flawed_1" to "flawed_6": one of FLAWS."""
    raise NotImplementedError("flawed_benchmarks: flaws is not written yet")


def fixed_1(device: FakeMemory) -> float:
    """Bytes a second, read and written, as `flawed_1` should have said."""
    raise NotImplementedError("flawed_benchmarks: fixed_1 is not written yet")


def fixed_2(device: FakeMemory) -> float:
    """As `flawed_2` should have said, over copies of the same lengths."""
    raise NotImplementedError("flawed_benchmarks: fixed_2 is not written yet")


def fixed_3(device: FakeMemory) -> float:
    """As `flawed_3` should have said."""
    raise NotImplementedError("flawed_benchmarks: fixed_3 is not written yet")


def fixed_4(device: FakeMemory) -> float:
    """As `flawed_4` should have said."""
    raise NotImplementedError("flawed_benchmarks: fixed_4 is not written yet")


def fixed_5(device: FakeMemory) -> float:
    """As `flawed_5` should have said."""
    raise NotImplementedError("flawed_benchmarks: fixed_5 is not written yet")


def fixed_6(device: FakeMemory) -> float:
    """As `flawed_6` should have said."""
    raise NotImplementedError("flawed_benchmarks: fixed_6 is not written yet")
