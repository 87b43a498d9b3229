"""How fast keys and values find their slots, as a share of the copy bandwidth: they must be read once and written once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    key, value = torch.randn(2, 16384, 8, 128, device="cuda").half()
    caches = torch.zeros(2, 4096, 16, 8, 128, device="cuda").half()
    slots = torch.randperm(65536, device="cuda")[:16384]
    return 4 * key.nbytes / seconds(lambda: answer.cache_write(key, value, *caches, slots)) / copy_bandwidth()
