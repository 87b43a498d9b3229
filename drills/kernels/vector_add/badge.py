"""How fast the sum of two vectors is, as a share of the copy bandwidth: two are read, one is written."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    x, y = torch.randn(2, 1 << 26, device="cuda")
    return 3 * x.nbytes / seconds(lambda: answer.vector_add(x, y)) / copy_bandwidth()
