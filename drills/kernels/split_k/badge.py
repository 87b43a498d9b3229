"""How fast a product with a long K and a small result is, as a share of the copy bandwidth: both matrices must be read."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    a, b = torch.randn(16, 65536, device="cuda").half(), torch.randn(65536, 1024, device="cuda").half()
    return (a.nbytes + b.nbytes) / seconds(lambda: answer.split_k(a, b, 32)) / copy_bandwidth()
