"""The judge of the vectorised loop."""
import numpy as np

from drills.hpc.vectorised_loop.solution import prepare_slowly
from drills.judging import count_lines, grows

NAMES = ("input_ids", "positions", "slot_mapping", "query_start_loc")


def batch(seed, requests, block_size, most=9, first_block=0, empty=False):
    """A random step: requests of different lengths, some of which have nothing scheduled; what is not theirs is rubbish."""
    random = np.random.default_rng(seed)
    computed = random.integers(0, 40, requests).astype(np.int32)
    scheduled = (random.integers(0, most + 1, requests) * (random.random(requests) < 0.8) * (not empty)).astype(np.int32)
    longest = int((computed + scheduled).max(initial=0)) + 5
    blocks = -(-longest // block_size) + 2
    token_ids = random.integers(0, 50000, (requests, longest)).astype(np.int32)
    table = (first_block + random.permutation(requests * blocks).reshape(requests, blocks)).astype(np.int32)
    return token_ids, computed, scheduled, table, block_size


def check(answer, arguments):
    __tracebackhide__ = True    # the reader wants the call in the judge
    before = [argument.copy() for argument in arguments[:-1]]
    got = answer.prepare(*arguments)
    for name, argument, was in zip(("token_ids", "computed", "scheduled", "block_table"), arguments, before):
        assert np.array_equal(argument, was), f"{name} was changed: it belongs to the caller"
    about = f"computed {arguments[1].tolist()}, scheduled {arguments[2].tolist()}, blocks of {arguments[4]}"
    for name, mine, right in zip(NAMES, got, prepare_slowly(*arguments), strict=True):
        assert isinstance(mine, np.ndarray) and mine.dtype == right.dtype, (
            f"{name}: expected an array of {right.dtype}, got {getattr(mine, 'dtype', type(mine))}")
        assert mine.shape == right.shape, f"{about}: {name} has shape {right.shape}, yours {mine.shape}"
        if not np.array_equal(mine, right):
            where = int(np.flatnonzero(mine != right)[0])
            raise AssertionError(f"{about}: {name}[{where}] is {right[where]}, yours {mine[where]}")


def test_one_request(answer):
    for computed, scheduled in ((0, 1), (0, 5), (3, 1), (4, 1), (7, 6)):
        check(answer, (np.arange(100, 120, dtype=np.int32)[None], np.array([computed], np.int32), np.array([scheduled], np.int32),
                       np.array([[7, 2, 9, 4, 1]], np.int32), 4))


def test_any_batch(answer):
    for seed in range(60):
        check(answer, batch(seed, 1 + seed // 6, block_size=[1, 3, 16][seed % 3]))


def test_nothing_to_do(answer):
    check(answer, batch(1, 4, 16, empty=True))
    check(answer, (np.zeros((0, 8), np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 2), np.int32), 16))


def test_slots_beyond_two_to_the_31(answer):
    """A cache of 2**29 blocks of 16: the block numbers fit into int32, the slots do not."""
    for seed in range(5):
        check(answer, batch(seed, 3, 16, first_block=2 ** 29))


def test_views_are_fine(answer):
    """The arrays of the engine are larger than the batch: rows of something with gaps."""
    for seed in range(5):
        token_ids, computed, scheduled, table, block_size = batch(seed, 8, 4)
        check(answer, (token_ids[::2], computed[::2], scheduled[::2], table[::2], block_size))


def test_the_lines_do_not_grow_with_the_batch(answer):
    for what, sizes in (("requests", {10: (10, 5), 100: (100, 5), 1000: (1000, 5)}), ("tokens for each", {10: (8, 10), 100: (8, 100), 1000: (8, 1000)})):
        costs = {size: count_lines(answer, lambda: answer.prepare(*batch(1, requests, 16, most))) for size, (requests, most) in sizes.items()}
        assert grows(costs) < 0.05, f"lines executed: {costs[10]} for 10 {what}, {costs[1000]} for 1000: there is a loop in Python still"
