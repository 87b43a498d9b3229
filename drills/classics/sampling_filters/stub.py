"""Sampling filters: your answer. The problem is in drills/classics/sampling_filters/README.md."""
import torch

GREEDY = 1e-5       # a temperature below this is no temperature

NEVER = float("-inf")


def thin_out(logits: torch.Tensor, temperature: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """The logits divided by the temperature, with -inf for the tokens that must not be sampled, as a new tensor.

    logits: float32 [rows, vocabulary]; -inf may be there already. temperature, top_p, min_p: float32 [rows].
    top_k: int64 [rows]; below 1 or above the vocabulary: no limit. top_p of 1, min_p of 0: no limit.
    A row with a temperature below `GREEDY` keeps its best token alone, the first of equals, and its logit.
    """
    raise NotImplementedError("sampling_filters: thin_out is not written yet")
