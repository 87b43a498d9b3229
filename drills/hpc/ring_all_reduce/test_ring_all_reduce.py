"""The judge of the ring all-reduce."""
import numpy as np

from drills.hpc.fakes import Deadlock, FakeRing

CASES = [(1, (5,)), (2, (2,)), (2, (4,)), (3, (3,)), (2, (3,)), (3, (7,)), (4, (4, 6)), (4, (2, 3, 5)), (5, (3,)), (6, (1,)),
         (3, (0,)), (8, (1001,)), (7, (64, 3))]


def reduced(answer, world, shape, dtype=np.int64, seed=0):
    """Runs all ranks; returns what they were given, what they gave, and the ring."""
    random = np.random.default_rng(seed)
    data = [random.integers(-1000, 1000, shape).astype(dtype) if np.issubdtype(dtype, np.integer) else random.standard_normal(shape).astype(dtype) * 10 ** rank
            for rank in range(world)]
    given, ring = [each.copy() for each in data], FakeRing(world)
    try:
        results = ring.run(lambda rank, send, receive: answer.all_reduce(rank, world, data[rank], send, receive))
    except Deadlock as deadlock:
        raise AssertionError(f"{world} ranks, shape {shape}: {deadlock}; each has to send before it waits, and as often as the next one receives") from None
    return data, given, results, ring


def test_the_sum_on_every_rank(answer):
    for seed, (world, shape) in enumerate(CASES):
        _, given, results, _ = reduced(answer, world, shape, seed=seed)
        right = sum(given)
        for rank, got in enumerate(results):
            assert isinstance(got, np.ndarray) and got.shape == shape and got.dtype == np.int64, (
                f"{world} ranks: expected an array of shape {shape} and int64, rank {rank} has {getattr(got, 'shape', type(got))} {getattr(got, 'dtype', '')}")
            wrong = np.flatnonzero(got != right)
            assert not len(wrong), (f"{world} ranks, shape {shape}: {len(wrong)} of {got.size} numbers are wrong on rank {rank}, the first at {wrong[0]}: "
                                    f"{got.flat[wrong[0]]}, the sum of {[int(each.flat[wrong[0]]) for each in given]} is {right.flat[wrong[0]]}")


def test_all_ranks_have_the_same_bits(answer):
    for seed, (world, shape) in enumerate(CASES):
        _, given, results, _ = reduced(answer, world, shape, np.float32, seed)
        for rank, got in enumerate(results):
            assert np.allclose(got, sum(each.astype(np.float64) for each in given), rtol=1e-4, atol=1e-4 * 10 ** world), (
                f"{world} ranks, shape {shape}: wrong sum on rank {rank}")
            assert got.dtype == np.float32 and np.array_equal(got, results[0]), (
                f"{world} ranks, shape {shape}: ranks 0 and {rank} have different sums, in the last bits: they added in different orders. Ranks that go on "
                "with different numbers sample different tokens")


def test_the_bytes_that_are_sent(answer):
    for world, shape in CASES:
        _, given, _, ring = reduced(answer, world, shape)
        chunk = -(-given[0].size // world) * given[0].itemsize
        most, plain = 2 * (world - 1) * chunk, (world - 1) * given[0].nbytes
        for rank, sent in enumerate(ring.sent):
            assert sent <= most, (f"{world} ranks, {given[0].nbytes} bytes on each: rank {rank} sent {sent} bytes, {most} are enough: 2 ({world} - 1) chunks "
                                  f"(sending everything round would be {plain})")


def test_everything_sent_is_received(answer):
    for world, shape in CASES[::3]:
        *_, ring = reduced(answer, world, shape)
        left = [len(inbox) for inbox in ring.inboxes]
        assert not any(left), f"{world} ranks: {left} messages were never received, by rank: the next all-reduce would take them for its own"


def test_the_data_stays_as_it_is(answer):
    for world, shape in CASES[::3]:
        data, given, results, _ = reduced(answer, world, shape)
        for rank in range(world):
            assert np.array_equal(data[rank], given[rank]), f"{world} ranks, shape {shape}: the data of rank {rank} was changed, it belongs to the caller"
            assert not np.shares_memory(data[rank], results[rank]), f"{world} ranks: the result of rank {rank} is its data, not a new array"


def test_a_view_with_gaps(answer):
    """Data need not be contiguous."""
    world, whole = 3, np.arange(60).reshape(6, 10)
    results = FakeRing(world).run(lambda rank, send, receive: answer.all_reduce(rank, world, (whole * (rank + 1)).T[::2], send, receive))
    for rank, got in enumerate(results):
        assert np.array_equal(got, 6 * whole.T[::2]), f"rank {rank}: a transposed array with a step gives a wrong sum"
