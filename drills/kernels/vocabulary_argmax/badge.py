"""How fast 256 rows are drawn from, as a share of the copy bandwidth: logits and noise must be read once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    logits, noise = torch.randn(2, 256, 151936, device="cuda")
    temperatures = torch.full((256,), 0.8, device="cuda")
    return 2 * logits.nbytes / seconds(lambda: answer.vocabulary_argmax(logits, temperatures, noise)) / copy_bandwidth()
