"""The judge of the online softmax."""
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

NEVER = float("-inf")


def one_pass(*arrays, sizes):
    """Blocks of those sizes, in buffers that are used again: what was given before is gone."""
    start = 0
    buffers = [np.empty((max(sizes), *array.shape[1:]), dtype=array.dtype) for array in arrays]
    for size in sizes:
        for buffer, array in zip(buffers, arrays):
            buffer.fill(np.nan)
            buffer[:size] = array[start:start + size]
        views = tuple(buffer[:size] for buffer in buffers)
        yield views if len(views) > 1 else views[0]
        start += size


def right_statistics(scores):
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).any():
        return NEVER, 0.0
    return scores.max(), np.exp(scores - scores.max()).sum()


def right_average(scores, values):
    scores, values = scores.astype(np.float64), values.astype(np.float64)
    if not np.isfinite(scores).any():
        return np.zeros(values.shape[1])
    weights = np.exp(scores - scores.max())
    return weights @ values / weights.sum()


def check(answer, scores, sizes, what, tolerance=1e-5):
    """Both functions against two passes in float64."""
    scores = np.asarray(scores) if isinstance(scores, np.ndarray) else np.array(scores, dtype=np.float32)
    values = np.random.default_rng(1).normal(size=(len(scores), 3)).astype(scores.dtype)
    with np.errstate(all="ignore"):
        got = answer.softmax_statistics(one_pass(scores, sizes=sizes))
        average = answer.softmax_average(one_pass(scores, values, sizes=sizes))
    right = right_statistics(scores)
    assert got[0] == right[0], f"{what}: the maximum is {got[0]}, should be {right[0]}"
    assert abs(got[1] - right[1]) <= tolerance * max(right[1], 1), (
        f"{what}: the sum of exp(score - maximum) is {got[1]}, should be {right[1]}; blocks of {sizes[:12]}, scores {scores[:12].tolist()}")
    right = right_average(scores, values)
    assert np.shape(average) == right.shape, f"{what}: the average has the shape {np.shape(average)}, should be {right.shape}"
    assert np.allclose(average, right, rtol=0, atol=10 * tolerance), (
        f"{what}: the average is {average}, should be {right}; blocks of {sizes[:12]}, scores {scores[:12].tolist()}")


def test_a_single_block(answer):
    check(answer, [2.0], [1], "one score")
    check(answer, [1.0, 3.0, 2.0], [3], "three scores")


def test_the_maximum_rises(answer):
    """What was added up before has to be rescaled."""
    check(answer, [1.0, 2.0], [1, 1], "the second block has the maximum")
    check(answer, [1.0, 2.0, 3.0, 4.0, 5.0], [2, 2, 1], "each block has a new maximum")


def test_the_maximum_falls(answer):
    check(answer, [5.0, 4.0, 3.0, 2.0, 1.0], [2, 2, 1], "the first block has the maximum")


def test_big_scores(answer):
    """exp(89) is beyond float32."""
    for scores in ([1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -999.0], [-30000.0, 30000.0, 30001.0]):
        check(answer, scores, [1, 2], f"scores {scores}")


def test_masked_scores(answer):
    check(answer, [1.0, NEVER, 2.0], [3], "one of three is masked")
    check(answer, [1.0, 2.0, NEVER, NEVER, 3.0], [2, 2, 1], "a whole block is masked")


def test_the_first_block_is_masked(answer):
    """There is no maximum yet: -inf - -inf is not a number."""
    check(answer, [NEVER, NEVER, 1.0, 2.0], [2, 2], "the first block is masked as a whole")


def test_nothing_but_masked_scores(answer):
    check(answer, [NEVER, NEVER, NEVER], [2, 1], "all is masked")


def test_empty_blocks(answer):
    check(answer, [1.0, 2.0, 3.0], [0, 2, 0, 1], "two blocks are empty")
    check(answer, [], [0], "one empty block and nothing else")
    assert answer.softmax_statistics(iter([])) == (NEVER, 0.0), "no block at all: the maximum of nothing is -inf, its sum is 0"


def test_half_precision_scores(answer):
    """Sums are kept in float32: in float16, 2048 + 1 is 2048."""
    scores = np.zeros(5000, dtype=np.float16)
    check(answer, scores, [1] * 3000 + [2000], "5000 equal scores in float16")


@given(blocks=st.lists(st.lists(st.one_of(st.just(NEVER), st.floats(-200, 200, width=32)), max_size=4), min_size=1, max_size=6))
def test_any_blocks(answer, blocks):
    check(answer, sum(blocks, []), [len(block) for block in blocks], "any blocks")


def test_a_block_is_all_that_is_kept(answer):
    """200 blocks of 4096 scores go by: they must not be collected."""
    buffer = np.random.default_rng(2).normal(size=4096).astype(np.float32)

    def blocks():
        for number in range(200):
            buffer[0] = 199 - number
            yield buffer

    tracemalloc.start()
    try:
        got = answer.softmax_statistics(blocks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got[0] == 199, f"the maximum is {got[0]}, should be 199, a score of the first block"
    assert peak < 20 * buffer.nbytes, f"{peak // buffer.nbytes} blocks were held in memory at once: one pass needs no more than the one at hand"
