"""Three orders of the same additions in float32, and rows whose order does not depend on their company."""
import numpy as np


def sequential(x: np.ndarray) -> np.float32:
    """The sum of x [n] float32, one number after the other from the left, each addition rounded to float32."""
    total = np.float32(0)
    for number in x:
        total = total + number
    return total


def pairwise(x: np.ndarray) -> np.float32:
    """The sum of x [n] float32 as the sum of its first n // 2 numbers plus that of the rest, each of them pairwise."""
    if len(x) < 2:
        return x[0] if len(x) else np.float32(0)
    return pairwise(x[:len(x) // 2]) + pairwise(x[len(x) // 2:])


def kahan(x: np.ndarray) -> np.float32:
    """The sum of x [n] float32 from the left, in float32, with what each addition has lost added to the next number."""
    total = lost = np.float32(0)
    for number in x:
        number = number + lost
        grown = total + number
        lost = number - (grown - total)
        total = grown
    return total


def row_sums_by_batch(matrix: np.ndarray) -> np.ndarray:  # given
    """Like many kernels: the fewer rows there are, the more programs share a row, so that all of them have something to do."""
    rows, columns = matrix.shape
    splits = max(1, 16 // max(rows, 1))
    width = max(1, -(-columns // splits))
    total = np.zeros(rows, np.float32)
    for start in range(0, columns, width):
        part = np.zeros(rows, np.float32)
        for column in range(start, min(start + width, columns)):
            part = part + matrix[:, column]
        total = total + part
    return total


def row_sums(matrix: np.ndarray, split: int = 64) -> np.ndarray:
    """The sum of each row of matrix [rows, columns] float32, which depends on nothing but the row: [rows] float32.

    Numbers are added in parts of `split` columns each, from the left, and then the parts.
    """
    rows, columns = matrix.shape
    total = np.zeros(rows, np.float32)
    for start in range(0, columns, split):
        part = np.zeros(rows, np.float32)
        for column in range(start, min(start + split, columns)):
            part = part + matrix[:, column]
        total = total + part
    return total
