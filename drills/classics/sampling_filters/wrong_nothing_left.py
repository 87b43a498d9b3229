"""Does not keep the best token by force: with a small top_p, 1 - top_p rounds to 1 and nothing is left."""
import torch

from drills.classics.sampling_filters import solution
from drills.classics.sampling_filters.solution import GREEDY, NEVER, _keep_min_p, _keep_top_k

FAILS = {"test_the_best_always_stays": r"tokens \[\] are kept, should be \[1\]: at least the best"}


def thin_out(logits, temperature, top_k, top_p, min_p):
    greedy = (temperature < GREEDY)[:, None]
    kept = _keep_top_k(_keep_min_p(logits / torch.where(greedy[:, 0], 1, temperature)[:, None], min_p[:, None]), top_k)
    ascending, order = kept.sort(-1)
    left_out = (ascending.softmax(-1).cumsum(-1) <= 1 - top_p[:, None]) & (top_p < 1)[:, None]
    kept = kept.scatter(1, order, ascending.masked_fill(left_out, NEVER))
    return torch.where(greedy, solution.thin_out(logits, torch.zeros_like(temperature), top_k, top_p, min_p), kept)
