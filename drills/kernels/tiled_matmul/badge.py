"""How fast a large float16 product is, as a share of what the library reaches."""
import torch

from drills.machine import matmul_rate, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    a, b = torch.randn(2, 8192, 8192, device="cuda").half()
    return 2 * 8192 ** 3 / seconds(lambda: answer.tiled_matmul(a, b)) / matmul_rate()
