"""Counts of the tokens, from which two masks come; then one multiplication and two subtractions for the whole batch."""
import torch


def apply_penalties(logits: torch.Tensor, prompt_token_ids: list[list[int]], output_token_ids: list[list[int]], presence_penalties: torch.Tensor,
                    frequency_penalties: torch.Tensor, repetition_penalties: torch.Tensor) -> torch.Tensor:
    """Penalise, in place, what was said before; returns the same tensor.

    logits [num_reqs, vocab_size] float32; the penalties are float32 [num_reqs]. A token id of -1 is a placeholder.
    """
    in_prompt = _counts(prompt_token_ids, logits) > 0
    counts = _counts(output_token_ids, logits)
    in_output = counts > 0

    factors = torch.where(in_prompt | in_output, repetition_penalties[:, None], 1.0)
    logits *= torch.where(logits > 0, 1 / factors, factors)
    logits -= frequency_penalties[:, None] * counts
    logits -= presence_penalties[:, None] * in_output
    return logits


def _counts(token_ids: list[list[int]], logits: torch.Tensor) -> torch.Tensor:
    """How often each token occurs: int64 [num_reqs, vocab_size]."""
    counts = torch.zeros(logits.shape, dtype=torch.int64)
    for row, ids in zip(counts, token_ids):
        real = [token for token in ids if token != -1]
        row += torch.bincount(torch.tensor(real, dtype=torch.int64), minlength=len(row))
    return counts
