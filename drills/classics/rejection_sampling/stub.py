"""Rejection sampling: your answer. The problem is in drills/classics/rejection_sampling/README.md."""
import torch

PLACEHOLDER = -1


def rejection_sample(draft_token_ids: torch.Tensor, num_draft_tokens: torch.Tensor, draft_probs: torch.Tensor | None, target_probs: torch.Tensor,
                     bonus_token_ids: torch.Tensor, is_greedy: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The tokens of a step: int64 [num_reqs, k + 1], PLACEHOLDER behind the last one.

    draft_token_ids int64 [num_reqs, k], of which the first num_draft_tokens[i] (int64 [num_reqs]) of a request are meant;
    draft_probs float32 [num_reqs, k, vocab_size], what they were drawn from, or None if they are certain of themselves;
    target_probs float32 [num_reqs, k, vocab_size]; bonus_token_ids int64 [num_reqs]; is_greedy bool [num_reqs].
    """
    raise NotImplementedError("rejection_sampling: rejection_sample is not written yet")
