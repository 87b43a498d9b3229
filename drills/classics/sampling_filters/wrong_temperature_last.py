"""Filters first and divides by the temperature at the end: top-p and min-p have looked at other probabilities."""
import torch

from drills.classics.sampling_filters import solution

FAILS = {"test_the_temperature_comes_first": "at a temperature of", "test_each_row_has_its_own_parameters": "row 4 of a mixed batch",
         "test_any_batch": "should keep", "test_a_large_batch": "should keep"}


def thin_out(logits, temperature, top_k, top_p, min_p):
    greedy = temperature < solution.GREEDY
    kept = solution.thin_out(logits, torch.where(greedy, 0.0, 1.0), top_k, top_p, min_p)
    return kept / torch.where(greedy, 1.0, temperature)[:, None]
