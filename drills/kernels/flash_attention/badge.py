"""How fast causal attention over a long sequence is, as a share of what the library's product reaches."""
import torch

from drills.machine import matmul_rate, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    q, k, v = torch.randn(3, 32, 8192, 128, device="cuda").half()
    flops = 4 * 32 * 128 * 8192 * 8193 // 2
    return flops / seconds(lambda: answer.flash_attention(q, k, v)) / matmul_rate()
