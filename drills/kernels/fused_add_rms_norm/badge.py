"""How fast a large batch is, as a share of the copy bandwidth: two tensors are read, two are written."""
import torch

from drills.machine import copy_bandwidth, seconds
from kernels import has_gpu


def badge(answer) -> float:
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")
    x, residual = torch.randn(2, 1 << 15, 4096, device="cuda").half()
    weight = torch.ones(4096, device="cuda").half()
    return 4 * x.nbytes / seconds(lambda: answer.fused_add_rms_norm(x, residual, weight, 1e-6)) / copy_bandwidth()
