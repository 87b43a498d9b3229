"""Accept a draft as often as the target allows; where the first one falls, draw from what the draft model left over."""
import torch

PLACEHOLDER = -1


def rejection_sample(draft_token_ids: torch.Tensor, num_draft_tokens: torch.Tensor, draft_probs: torch.Tensor | None, target_probs: torch.Tensor,
                     bonus_token_ids: torch.Tensor, is_greedy: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The tokens of a step: int64 [num_reqs, k + 1], PLACEHOLDER behind the last one.

    draft_token_ids int64 [num_reqs, k], of which the first num_draft_tokens[i] (int64 [num_reqs]) of a request are meant;
    draft_probs float32 [num_reqs, k, vocab_size], what they were drawn from, or None if they are certain of themselves;
    target_probs float32 [num_reqs, k, vocab_size]; bonus_token_ids int64 [num_reqs]; is_greedy bool [num_reqs].
    """
    accepted = _accepted(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    replacements = _replacements(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    return _assembled(draft_token_ids, num_draft_tokens, accepted, replacements, bonus_token_ids)


def _accepted(draft_token_ids, draft_probs, target_probs, is_greedy, generator) -> torch.Tensor:
    """Which drafts would be accepted if all before them were: bool [num_reqs, k]."""
    chosen = draft_token_ids[:, :, None]
    target = target_probs.gather(2, chosen)[:, :, 0]
    draft = torch.ones_like(target) if draft_probs is None else draft_probs.gather(2, chosen)[:, :, 0]
    uniform = torch.rand(target.shape, generator=generator)
    # Below target / draft, without the division: 0 accepts nothing, for the uniform numbers begin at 0 and the comparison is strict.
    lucky = (draft > 0) & (uniform * draft < target)
    return torch.where(is_greedy[:, None], draft_token_ids == target_probs.argmax(2), lucky)


def _replacements(draft_token_ids, draft_probs, target_probs, is_greedy, generator) -> torch.Tensor:
    """What stands at each position if its draft is the first to be rejected: int64 [num_reqs, k]."""
    if draft_probs is None:
        residual = target_probs.scatter(2, draft_token_ids[:, :, None], 0)
    else:
        residual = (target_probs - draft_probs).clamp(min=0)
    # The largest of probability / exponential noise: a draw that needs no normalising, and no sum.
    recovered = (residual / torch.empty_like(residual).exponential_(generator=generator)).argmax(2)
    return torch.where(is_greedy[:, None], target_probs.argmax(2), recovered)


def _assembled(draft_token_ids, num_draft_tokens, accepted, replacements, bonus_token_ids) -> torch.Tensor:
    """The accepted drafts in front, one token of our own, placeholders."""
    num_reqs, k = draft_token_ids.shape
    positions = torch.arange(k + 1)
    real = positions[:k] < num_draft_tokens[:, None]
    num_accepted = (accepted & real).long().cumprod(1).sum(1, keepdim=True)
    drafts = torch.cat([draft_token_ids, torch.full((num_reqs, 1), PLACEHOLDER)], 1)
    ours = torch.where(real, replacements, bonus_token_ids[:, None])
    ours = torch.cat([ours, bonus_token_ids[:, None]], 1)
    output = torch.where(positions < num_accepted, drafts, PLACEHOLDER)
    return torch.where(positions == num_accepted, ours, output)
