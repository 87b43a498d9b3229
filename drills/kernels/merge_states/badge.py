"""How fast two attention states become one, as a share of the copy bandwidth: both are read, and one is written."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    prefix, suffix = torch.randn(2, 16384, 32, 128, device="cuda").half()
    prefix_lse, suffix_lse = torch.randn(2, 32, 16384, device="cuda")
    return 3 * prefix.nbytes / seconds(lambda: answer.merge_states(prefix, prefix_lse, suffix, suffix_lse, 16384)) / copy_bandwidth()
