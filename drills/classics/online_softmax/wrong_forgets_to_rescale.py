"""The maximum rises, but what was added up relative to the old one stays as it is."""
import numpy as np

FAILS = {"test_the_maximum_rises": r"the second block has the maximum: the sum of exp\(score - maximum\) is 2\.0",
         "test_big_scores": "the sum of",
         "test_masked_scores": "a whole block is masked: the sum of", "test_empty_blocks": "the sum of", "test_any_blocks": "the sum of"}


def softmax_statistics(blocks):
    maximum, total = -np.inf, 0.0
    for scores in blocks:
        scores = scores.astype(np.float32)
        maximum = max(maximum, scores.max(initial=-np.inf))
        if maximum > -np.inf:
            total += np.exp(scores - np.float32(maximum)).sum()
    return float(maximum), float(total)


def softmax_average(blocks):
    maximum, total, average = -np.inf, 0.0, 0
    for scores, values in blocks:
        scores = scores.astype(np.float32)
        maximum = max(maximum, scores.max(initial=-np.inf))
        weights = np.exp(scores - np.float32(maximum)) if maximum > -np.inf else np.zeros_like(scores)
        total += weights.sum()
        average = average + weights @ values.astype(np.float32)
    return average / np.float32(total) if total else average
