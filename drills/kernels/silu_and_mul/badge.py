"""How fast a large batch is, as a share of the copy bandwidth: two halves are read, one is written."""
import torch

from drills.machine import copy_bandwidth, seconds
from kernels import has_gpu


def badge(answer) -> float:
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")
    x = torch.randn(1 << 14, 2 * 8192, device="cuda").half()
    return 1.5 * x.nbytes / seconds(lambda: answer.silu_and_mul(x)) / copy_bandwidth()
