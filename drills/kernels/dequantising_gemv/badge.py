"""How fast a vector goes through a matrix of 8-bit weights, as a share of the copy bandwidth: each weight must be read once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    weights = torch.randint(-128, 128, (16384, 16384), dtype=torch.int8, device="cuda")
    scales, x = torch.rand(16384, device="cuda"), torch.randn(16384, device="cuda").half()
    return weights.nbytes / seconds(lambda: answer.int8_gemv(weights, scales, x)) / copy_bandwidth()
