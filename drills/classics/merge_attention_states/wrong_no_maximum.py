"""Takes exp of the logsumexps as they are: infinite above 88, zero below -104."""
import torch

from drills.classics.merge_attention_states.solution import _empty_is_minus_infinity, _weighted

FAILS = {"test_big_logsumexps": "scores around 1000"}


def merge_attention_states(output_a, lse_a, output_b, lse_b):
    sum_a, sum_b = _empty_is_minus_infinity(lse_a).exp(), _empty_is_minus_infinity(lse_b).exp()
    total = sum_a + sum_b
    share_a, share_b = (torch.where(total > 0, each / total, 0) for each in (sum_a, sum_b))
    return (_weighted(output_a, share_a) + _weighted(output_b, share_b)).to(output_a.dtype), total.log()
