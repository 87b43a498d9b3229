"""How fast the 50 best of 256 rows are kept, as a share of the copy bandwidth: the logits must be read once and written once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    logits, k = torch.randn(256, 151936, device="cuda"), torch.full((256,), 50, dtype=torch.int32, device="cuda")
    return 2 * logits.nbytes / seconds(lambda: answer.top_k(logits, k)) / copy_bandwidth()
