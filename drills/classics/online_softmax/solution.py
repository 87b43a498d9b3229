"""A running maximum, and sums that are rescaled whenever it rises."""
from collections.abc import Iterable

import numpy as np


def softmax_statistics(blocks: Iterable[np.ndarray]) -> tuple[float, float]:
    """The maximum of all scores, and the sum of exp(score - maximum).

    `blocks`: scores [n] each, float32 or float16, n may be 0. Without any score above -inf: (-inf, 0.0).
    """
    maximum, total = -np.inf, 0.0
    for scores in blocks:
        weights, rescale, maximum = _step(scores, maximum)
        total = total * rescale + weights.sum()
    return float(maximum), float(total)


def softmax_average(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The average of all values [size], float32, each weighted by the softmax of its score.

    `blocks`: (scores [n], values [n, size]) each, float32 or float16, at least one block. Without any score above -inf: zeros.
    """
    maximum, total, average = -np.inf, 0.0, None
    for scores, values in blocks:
        if average is None:
            average = np.zeros(values.shape[1], dtype=np.float32)
        weights, rescale, maximum = _step(scores, maximum)
        total = total * rescale + weights.sum()
        average = average * rescale + weights @ values.astype(np.float32)
    return average / np.float32(total) if total else average


def _step(scores: np.ndarray, maximum: float) -> tuple[np.ndarray, np.float32, float]:
    """The weights of a block, the factor for all that came before, and the new maximum."""
    scores = scores.astype(np.float32)
    higher = max(maximum, scores.max(initial=-np.inf))
    if higher == -np.inf:       # nothing yet: -inf - -inf would be NaN
        return np.zeros_like(scores), np.float32(1.0), higher
    return np.exp(scores - np.float32(higher)), np.exp(np.float32(maximum - higher)), higher
