"""Applies min-p after top-p: top-p has counted what min-p leaves out."""
import torch

from drills.classics.sampling_filters import solution

FAILS = {"test_top_p_sees_what_the_others_left": "min_p keeps the best two", "test_a_large_batch": "should keep"}


def thin_out(logits, temperature, top_k, top_p, min_p):
    kept = solution.thin_out(logits, temperature, top_k, top_p, torch.zeros_like(min_p))
    return solution._keep_min_p(kept, min_p[:, None])
