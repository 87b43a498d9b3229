"""Ring all-reduce: your answer. The problem is in drills/hpc/ring_all_reduce/README.md."""
from collections.abc import Callable
import numpy as np


def all_reduce(rank: int, world: int, data: np.ndarray, send: Callable[[np.ndarray], None], receive: Callable[[], np.ndarray]) -> np.ndarray:
    """The sum of `data` of all ranks, of the same shape and dtype, on each of them; `data` stays as it is.

    `send` gives an array to rank + 1, `receive` waits for one from rank - 1, both round the ring.
    """
    raise NotImplementedError("ring_all_reduce: all_reduce is not written yet")
