"""Gumbel-max: your answer. The problem is in drills/classics/gumbel_max/README.md."""
import torch


def mix(bits: torch.Tensor) -> torch.Tensor:
    """A step of SplitMix64, for int64 of any shape: a one-to-one map in which each bit of the result depends on all bits."""
    bits = bits + (0x9E3779B97F4A7C15 - (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits = bits ^ (bits >> shift) & ((1 << (64 - shift)) - 1)       # the mask: >> repeats the sign
        bits = bits * (factor - (1 << 64) if factor > 1 else 1)         # products wrap around
    return bits


def uniform(seeds: torch.Tensor, positions: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """A random number for each token of each row: float64 [rows, vocabulary], above 0 and below 1.

    seeds, positions: int64 [rows]. The same seed, position and token give the same number, in whatever row.
    """
    raise NotImplementedError("gumbel_max: uniform is not written yet")


def gumbel_max(logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Draw a token for each row with the probabilities of its softmax: int64 [rows].

    logits: float32 [rows, vocabulary]; -inf is never drawn. seeds, positions: int64 [rows].
    """
    raise NotImplementedError("gumbel_max: gumbel_max is not written yet")
