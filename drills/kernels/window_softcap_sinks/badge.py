"""How fast attention within a window is, as a share of what the library's product reaches: beyond the window there is nothing to do."""
import torch

from drills.machine import matmul_rate, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    q, k, v = torch.randn(3, 32, 8192, 128, device="cuda").half()
    flops = 4 * 32 * 128 * (8192 * 1024 - 1024 * 1023 // 2)    # the first tokens see less
    return flops / seconds(lambda: answer.window_attention(q, k, v, window=1024)) / matmul_rate()
