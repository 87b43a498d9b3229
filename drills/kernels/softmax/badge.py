"""How fast long rows are, as a share of the copy bandwidth: they must be read once and written once."""
import torch

from drills.machine import copy_bandwidth, seconds
from kernels import has_gpu


def badge(answer) -> float:
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")
    x = torch.randn(1 << 14, 8192, device="cuda").half()
    return 2 * x.nbytes / seconds(lambda: answer.softmax(x)) / copy_bandwidth()
