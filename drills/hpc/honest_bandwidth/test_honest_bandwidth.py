"""The judge of the honest bandwidth."""
from drills.hpc.fakes import FakeMemory

MIB = 1 << 20
TOLERANCE = 0.03


def check(answer, why, size=256 * MIB, bandwidth=1e12, **device):
    """The measured bandwidth is that of the device."""
    __tracebackhide__ = True    # the reader wants the call in the judge
    got = answer.measure(FakeMemory(bandwidth=bandwidth, **device), size)
    assert isinstance(got, float), f"expected bytes a second as a float, got {got!r}"
    assert abs(got / bandwidth - 1) < TOLERANCE, (
        f"the memory moves {bandwidth / 1e9:.0f} GB/s, you measured {got / 1e9:.0f} GB/s with copies of {size // MIB} MiB, "
        f"{got / bandwidth:.2f} times that: {why}")


def test_bytes_are_counted_both_ways(answer):
    for bandwidth in (2e11, 1e12, 3.35e12):
        check(answer, "a copy reads each byte, and writes it", bandwidth=bandwidth, asynchronous=False)


def test_a_copy_returns_before_it_is_done(answer):
    for size in (64 * MIB, 512 * MIB):
        check(answer, "is the device still copying when you read the clock?", size=size)


def test_the_first_copies_are_slow(answer):
    for cold in (1, 10, 40):
        check(answer, f"the first {cold} copies were slow, as was the first use of each buffer", cold_copies=cold)


def test_a_cache_must_not_help(answer):
    for size, cache in ((256 * MIB, 50 * MIB), (64 * MIB, 128 * MIB), (64 * MIB, 200 * MIB), (32 * MIB, 512 * MIB), (48 * MIB, 100 * MIB)):
        check(answer, f"a cache of {cache // MIB} MiB holds what was copied a moment ago", size=size, cache_bytes=cache)


def test_the_first_use_of_every_buffer_is_slow(answer):
    check(answer, "each of the buffers in turn has a slow first use", size=32 * MIB, cache_bytes=4096 * MIB, cold_copies=1)


def test_some_copies_are_interrupted(answer):
    for seed in range(5):
        check(answer, "one copy in ten is interrupted and takes 20 times as long", interruptions=0.1, seed=seed)


def test_everything_at_once(answer):
    for seed in range(5):
        check(answer, "the device has all of it: a cache, a slow start, interruptions, asynchronous copies", size=64 * MIB, cache_bytes=500 * MIB,
              cold_copies=30, interruptions=0.1, seed=seed)


def test_it_makes_do_with_little_memory(answer):
    """Four times the cache, and four buffers."""
    for size, cache in ((64 * MIB, 0), (256 * MIB, 50 * MIB), (32 * MIB, 512 * MIB)):
        check(answer, "and there is little memory", size=size, cache_bytes=cache, memory_bytes=4 * cache + 4 * size)
