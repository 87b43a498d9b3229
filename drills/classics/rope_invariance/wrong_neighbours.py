"""Pairs neighbours, 2 i and 2 i + 1, as GPT-J does: the scores have all the right properties, and the weights of a Llama do not fit."""
import torch

from drills.classics.rope_invariance.solution import cos_sin_cache

FAILS = {"test_what_is_a_pair": "it turns towards its partner"}


def rotate(x, positions, cache):
    rotary_dim = cache.shape[1]
    cos, sin = cache[positions][:, None, :].chunk(2, dim=2)
    first, second = x[..., 0:rotary_dim:2].float(), x[..., 1:rotary_dim:2].float()
    turned = torch.stack([first * cos - second * sin, second * cos + first * sin], dim=3).flatten(2)
    return torch.cat([turned.to(x.dtype), x[..., rotary_dim:]], dim=2)
