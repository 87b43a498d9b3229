"""Rotate through more than the cache holds, warm up, wait before each reading of the clock, take the median, count both ways."""
import statistics
from itertools import cycle

from drills.hpc.fakes import FakeMemory

_WARM_UP = 50       # copies


def measure(device: FakeMemory, size: int, rounds: int = 21) -> float:
    """Bytes a second, read and written, of copies of `size` bytes from memory to memory; the median of `rounds` of them."""
    pairs = [(device.allocate(size), device.allocate(size)) for _ in range(device.cache_bytes // (2 * size) + 1)]
    rotation = cycle(pairs)
    for _ in range(max(_WARM_UP, len(pairs))):
        device.copy(*next(rotation))
    return 2 * size / statistics.median(_seconds(device, *next(rotation)) for _ in range(rounds))


def _seconds(device: FakeMemory, target, source) -> float:
    device.synchronize()
    start = device.clock()
    device.copy(target, source)
    device.synchronize()
    return device.clock() - start
