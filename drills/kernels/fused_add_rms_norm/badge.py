"""How fast a large batch is, as a share of the copy bandwidth: two tensors are read, two are written."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    x, residual = torch.randn(2, 1 << 15, 4096, device="cuda").half()
    weight = torch.ones(4096, device="cuda").half()
    return 4 * x.nbytes / seconds(lambda: answer.fused_add_rms_norm(x, residual, weight, 1e-6)) / copy_bandwidth()
