"""Adds up exp(score) as it is and divides by exp(maximum) at the end: beyond 88 that is infinite in float32."""
import numpy as np

FAILS = {"test_big_scores": r"is (inf|nan)", "test_any_blocks": r"the (sum|average)"}


def softmax_statistics(blocks):
    maximum, total = -np.inf, np.float32(0)
    for scores in blocks:
        maximum = max(maximum, scores.max(initial=-np.inf))
        total += np.exp(scores.astype(np.float32)).sum()
    return float(maximum), float(total / np.exp(np.float32(maximum))) if total else 0.0


def softmax_average(blocks):
    total, average = np.float32(0), 0
    for scores, values in blocks:
        weights = np.exp(scores.astype(np.float32))
        total += weights.sum()
        average = average + weights @ values.astype(np.float32)
    return average / total if total else average
