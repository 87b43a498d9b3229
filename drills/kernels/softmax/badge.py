"""How fast long rows are, as a share of the copy bandwidth: they must be read once and written once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    x = torch.randn(1 << 14, 8192, device="cuda").half()
    return 2 * x.nbytes / seconds(lambda: answer.softmax(x)) / copy_bandwidth()
