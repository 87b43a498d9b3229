"""How fast a large batch is, as a share of the copy bandwidth: read once, written once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    x, weight = torch.randn(1 << 15, 4096, device="cuda").half(), torch.ones(4096, device="cuda").half()
    return 2 * x.nbytes / seconds(lambda: answer.rms_norm(x, weight, 1e-6)) / copy_bandwidth()
