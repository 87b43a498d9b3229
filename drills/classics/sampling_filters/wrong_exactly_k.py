"""Keeps the k tokens that topk returns: of those that tie for the last place, it is an accident which."""
import torch

from drills.classics.sampling_filters import solution
from drills.classics.sampling_filters.solution import GREEDY, NEVER, _keep_min_p, _keep_top_p

FAILS = {"test_who_ties_with_the_kth_stays": "three tie for the second place", "test_any_batch": "should keep", "test_a_large_batch": "should keep"}


def thin_out(logits, temperature, top_k, top_p, min_p):
    vocabulary = logits.shape[-1]
    greedy = (temperature < GREEDY)[:, None]
    kept = _keep_min_p(logits / torch.where(greedy[:, 0], 1, temperature)[:, None], min_p[:, None])
    k = torch.where((top_k < 1) | (top_k > vocabulary), vocabulary, top_k)
    rank = (-kept).argsort(dim=-1, stable=True).argsort(-1)
    kept = _keep_top_p(kept.masked_fill(rank >= k[:, None], NEVER), top_p[:, None])
    return torch.where(greedy, solution.thin_out(logits, torch.zeros_like(temperature), top_k, top_p, min_p), kept)
