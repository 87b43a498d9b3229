"""How fast one token of one very long request is, as a share of the copy bandwidth: keys and values must be read once."""
import torch

from drills.machine import copy_bandwidth, require_gpu, seconds


def badge(answer) -> float:
    require_gpu()
    keys, values = torch.randn(2, 1 << 20, 128, device="cuda").half()
    query, length = torch.randn(16, 128, device="cuda").half(), torch.full((1,), 1 << 20, dtype=torch.int32, device="cuda")
    return (keys.nbytes + values.nbytes) / seconds(lambda: answer.split_kv(query, keys, values, length, 512)) / copy_bandwidth()
