"""Overwrites the first half before the second half has read it."""
import torch

from drills.classics.rope_invariance.solution import cos_sin_cache

FAILS = {"test_what_is_a_pair": "it turns towards", "test_the_length_stays": "a turn changes no length",
         "test_the_score_depends_on_the_distance_only": "The same distance, the same score"}


def rotate(x, positions, cache):
    rotary_dim = cache.shape[1]
    cos, sin = cache[positions][:, None, :].chunk(2, dim=2)
    turned = x[..., :rotary_dim].float().clone()
    first, second = turned.chunk(2, dim=2)      # views
    first.copy_(first * cos - second * sin)
    second.copy_(second * cos + first * sin)
    return torch.cat([turned.to(x.dtype), x[..., rotary_dim:]], dim=2)
