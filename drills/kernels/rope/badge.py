"""How fast queries and keys are turned, as a share of the copy bandwidth: they must be read once and written once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    query, key = (torch.randn(16384, heads, 128, device="cuda").half() for heads in (32, 8))
    positions, angles = torch.randperm(16384, device="cuda"), torch.randn(16384, 128, device="cuda").half()
    return 2 * (query.nbytes + key.nbytes) / seconds(lambda: answer.rope(positions, query, key, angles)) / copy_bandwidth()
