"""Online softmax: your answer. The problem is in drills/classics/online_softmax/README.md."""
from collections.abc import Iterable
import numpy as np


def softmax_statistics(blocks: Iterable[np.ndarray]) -> tuple[float, float]:
    """The maximum of all scores, and the sum of exp(score - maximum).

    `blocks`: scores [n] each, float32 or float16, n may be 0. Without any score above -inf: (-inf, 0.0).
    """
    raise NotImplementedError("online_softmax: softmax_statistics is not written yet")


def softmax_average(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The average of all values [size], float32, each weighted by the softmax of its score.

    `blocks`: (scores [n], values [n, size]) each, float32 or float16, at least one block. Without any score above -inf: zeros.
    """
    raise NotImplementedError("online_softmax: softmax_average is not written yet")
