"""How fast a large batch is, as a share of the copy bandwidth: two halves are read, one is written."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    x = torch.randn(1 << 14, 2 * 8192, device="cuda").half()
    return 1.5 * x.nbytes / seconds(lambda: answer.silu_and_mul(x)) / copy_bandwidth()
