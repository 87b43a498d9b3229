"""How fast keys and values find their slots in 8 bits, as a share of the copy bandwidth: two bytes are read and one is written."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    key, value = torch.randn(2, 16384, 8, 128, device="cuda").half()
    caches = torch.zeros(2, 4096, 16, 8, 128, device="cuda").to(torch.float8_e4m3fn)
    slots, one = torch.randperm(65536, device="cuda")[:16384], torch.ones(1, device="cuda")
    return 3 * key.nbytes / seconds(lambda: answer.fp8_cache_write(key, value, *caches, slots, one, one)) / copy_bandwidth()
