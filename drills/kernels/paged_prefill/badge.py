"""How fast four prompts of 4,096 tokens are, as a share of what the library's product reaches."""
import torch

from drills.machine import matmul_rate, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    caches = torch.randn(2, 4 * 256, 16, 8, 128, device="cuda").half()
    queries, tables = torch.randn(4 * 4096, 32, 128, device="cuda").half(), torch.randperm(4 * 256, device="cuda").int().view(4, 256)
    lengths, starts = torch.full((4,), 4096, dtype=torch.int32, device="cuda"), torch.arange(5, dtype=torch.int32, device="cuda") * 4096
    flops = 4 * 4 * 32 * 128 * 4096 * 4097 // 2
    return flops / seconds(lambda: answer.paged_prefill(queries, *caches, tables, lengths, starts, 4096)) / matmul_rate()
