"""How fast one token for each of 64 requests is, as a share of the copy bandwidth: keys and values must be read once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    caches = torch.randn(2, 64 * 256, 16, 8, 128, device="cuda").half()
    queries, tables = torch.randn(64, 32, 128, device="cuda").half(), torch.randperm(64 * 256, device="cuda").int().view(64, 256)
    lengths = torch.full((64,), 4096, dtype=torch.int32, device="cuda")
    return caches.nbytes / seconds(lambda: answer.paged_decode(queries, *caches, tables, lengths)) / copy_bandwidth()
