"""Subtracts the maximum also while it is still -inf: -inf - -inf is NaN, and NaN stays."""
import numpy as np

FAILS = {"test_the_first_block_is_masked": "the sum of .* is nan", "test_nothing_but_masked_scores": "is nan", "test_empty_blocks": "is nan",
         "test_any_blocks": "is nan"}


def _step(scores, maximum):
    scores = scores.astype(np.float32)
    higher = max(maximum, scores.max(initial=-np.inf))
    return np.exp(scores - np.float32(higher)), np.exp(np.float32(maximum) - np.float32(higher)), higher


def softmax_statistics(blocks):
    maximum, total = -np.inf, 0.0
    for scores in blocks:
        weights, rescale, maximum = _step(scores, maximum)
        total = total * rescale + weights.sum()
    return float(maximum), float(total)


def softmax_average(blocks):
    maximum, total, average = -np.inf, 0.0, 0.0
    for scores, values in blocks:
        weights, rescale, maximum = _step(scores, maximum)
        total = total * rescale + weights.sum()
        average = average * rescale + weights @ values.astype(np.float32)
    return average / total
