"""How fast 8,192 choices among 8 experts are, as a share of what the library's product reaches."""
import torch

from drills.machine import matmul_rate, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    a, b = torch.randn(8192, 4096, device="cuda").half(), torch.randn(8, 4096, 4096, device="cuda").half()
    choices = torch.arange(8192, dtype=torch.int32, device="cuda")
    experts = torch.arange(8, dtype=torch.int32, device="cuda").repeat_interleave(8192 // 8 // 64)
    number = torch.full((1,), 8192, dtype=torch.int32, device="cuda")
    return 2 * 8192 * 4096 * 4096 / seconds(lambda: answer.moe_grouped_matmul(a, b, choices, experts, number, None, 1, 8192)) / matmul_rate()
