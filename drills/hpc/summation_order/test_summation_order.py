"""The judge of the summation orders: bits, not tolerances."""
import math

import numpy as np

f32 = np.float32


def vectors():
    """The easiest first; large and small numbers together, where the order shows."""
    random = np.random.default_rng(11)
    yield np.zeros(0, f32)
    yield np.array([1.5], f32)
    yield np.array([2 ** 24, 1, 1], f32)
    yield np.array([1, 2 ** 24, 1, -(2 ** 24)], f32)
    yield np.full(1000, 0.1, f32)
    for size in (2, 3, 5, 7, 8, 31, 100, 1000):
        yield (random.standard_normal(size) * 10.0 ** random.integers(-3, 4, size)).astype(f32)
    yield random.random(500, f32)[::-3]


def say(x):
    return f"x = {[float(each) for each in x]}" if len(x) < 9 else f"{len(x)} numbers"


def check(got, right, what):
    __tracebackhide__ = True    # the reader wants the call in the judge
    assert isinstance(got, f32), f"{what}: expected a number of float32, got {type(got).__name__} {got!r}"
    assert got == right, f"{what}: {float(right)!r} in this order, with each addition rounded to float32; you have {float(got)!r}"


def test_sequential(answer):
    for x in vectors():
        check(answer.sequential(x), np.add.accumulate(x, dtype=f32)[-1] if len(x) else f32(0), say(x))


def test_pairwise(answer):
    def right(numbers):
        half = len(numbers) // 2
        return right(numbers[:half]) + right(numbers[half:]) if half else numbers[0]

    for x in vectors():
        check(answer.pairwise(x), right(x) if len(x) else f32(0), say(x))


def test_kahan(answer):
    for x in vectors():
        total = correction = f32(0)
        for number in x:        # as in the books: the correction has the other sign, which changes no bit
            y = f32(number - correction)
            t = f32(total + y)
            correction = f32(f32(t - total) - y)
            total = t
        check(answer.kahan(x), total, say(x))


def test_what_the_orders_are_worth(answer):
    """Relative errors of a sum of positive numbers: with n, with log n, and of a rounding or two."""
    for n in (100, 4000):
        x = np.random.default_rng(n).random(n, f32) + f32(0.1)
        exact, eps = math.fsum(x), float(np.finfo(f32).eps)
        for name, bound in (("sequential", n), ("pairwise", math.log2(n) + 1), ("kahan", 2)):
            error = abs(float(getattr(answer, name)(x)) - exact) / exact
            assert error <= bound * eps, f"{name} of {n} numbers: off by {error / eps:.1f} roundings, more than {bound:.0f}"


def matrices():
    random = np.random.default_rng(12)
    for columns in (1, 2, 63, 64, 65, 200, 333):
        yield (random.standard_normal((17, columns)) * 10.0 ** random.integers(-3, 4, (17, columns))).astype(f32)


def test_row_sums(answer):
    for matrix in [np.zeros((0, 5), f32), np.zeros((3, 0), f32), np.array([[1, 2], [3, 4]], f32), *matrices()]:
        got, right = answer.row_sums(matrix), matrix.astype(np.float64).sum(axis=1)
        assert isinstance(got, np.ndarray) and got.dtype == f32 and got.shape == right.shape, (
            f"{list(matrix.shape)}: expected float32 {list(right.shape)}, got {getattr(got, 'dtype', type(got))} {list(np.shape(got))}")
        bound = 1e-5 * np.abs(matrix).sum(axis=1) + 1e-30
        wrong = np.flatnonzero(~(np.abs(got - right) <= bound))
        assert not len(wrong), f"{list(matrix.shape)}: the sum of row {wrong[0]} is {right[wrong[0]]:.7g}, you have {got[wrong[0]]:.7g}"


def test_a_row_does_not_see_its_batch(answer):
    for matrix in matrices():
        alone = [answer.row_sums(matrix[row:row + 1])[0] for row in range(len(matrix))]
        for rows in (2, 3, 5, 8, 16, 17):
            for first in (0, len(matrix) - rows):
                together = answer.row_sums(matrix[first:first + rows])
                wrong = np.flatnonzero(together != alone[first:first + rows])
                assert not len(wrong), (f"a row of {matrix.shape[1]} numbers: alone its sum is {float(alone[first + wrong[0]])!r}, in a batch of {rows} it is "
                                        f"{float(together[wrong[0]])!r}: the order of the additions depends on the batch")


def test_a_row_does_not_see_how_the_batch_lies_in_memory(answer):
    for matrix in matrices():
        plain = answer.row_sums(matrix)
        wide = np.full((len(matrix), 2 * matrix.shape[1]), np.nan, f32)
        wide[:, ::2] = matrix
        for what, other in (("column by column", np.asfortranarray(matrix)), ("with gaps", wide[:, ::2]), ("from the last row on", matrix[::-1].copy()[::-1])):
            got = answer.row_sums(other)
            wrong = np.flatnonzero(got != plain)
            assert not len(wrong), (f"rows of {matrix.shape[1]} numbers, in memory {what}: the sum of row {wrong[0]} is {float(got[wrong[0]])!r}, and "
                                    f"{float(plain[wrong[0]])!r} when they lie row by row: the order of the additions depends on the layout")
