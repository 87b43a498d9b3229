"""How fast a large float16 product is, as a share of what the library reaches."""
import torch

from drills.machine import matmul_rate, seconds
from kernels import has_gpu


def badge(answer) -> float:
    if not has_gpu():
        raise RuntimeError("needs an NVIDIA GPU: Triton's interpreter says nothing about speed")
    a, b = torch.randn(2, 8192, 8192, device="cuda").half()
    return 2 * 8192 ** 3 / seconds(lambda: answer.tiled_matmul(a, b)) / matmul_rate()
