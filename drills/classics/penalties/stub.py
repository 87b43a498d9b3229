"""Penalties: your answer. The problem is in drills/classics/penalties/README.md."""
import torch


def apply_penalties(logits: torch.Tensor, prompt_token_ids: list[list[int]], output_token_ids: list[list[int]], presence_penalties: torch.Tensor,
                    frequency_penalties: torch.Tensor, repetition_penalties: torch.Tensor) -> torch.Tensor:
    """Penalise, in place, what was said before; returns the same tensor.

    logits [num_reqs, vocab_size] float32; the penalties are float32 [num_reqs]. A token id of -1 is a placeholder.
    """
    raise NotImplementedError("penalties: apply_penalties is not written yet")
