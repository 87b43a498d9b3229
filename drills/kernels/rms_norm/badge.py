"""How fast a large batch is, as a share of the copy bandwidth: read once, written once."""
import torch

from drills.machine import copy_bandwidth, seconds
from kernels import has_gpu


def badge(answer) -> float:
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")
    x, weight = torch.randn(1 << 15, 4096, device="cuda").half(), torch.ones(4096, device="cuda").half()
    return 2 * x.nbytes / seconds(lambda: answer.rms_norm(x, weight, 1e-6)) / copy_bandwidth()
