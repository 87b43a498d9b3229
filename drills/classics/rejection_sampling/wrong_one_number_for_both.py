"""Uses the uniform number that rejected a draft a second time, to draw the recovered token: it is a large one by then."""
import torch

from drills.classics.rejection_sampling.solution import _accepted, _assembled

FAILS = {"test_the_first_token_is_the_targets": "with a probability of", "test_the_second_token_is_the_targets_after_the_first": "after token",
         "test_drafts_that_are_certain_of_themselves": "the draft is always"}


def rejection_sample(draft_token_ids, num_draft_tokens, draft_probs, target_probs, bonus_token_ids, is_greedy, generator):
    state = generator.get_state()
    accepted = _accepted(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    generator.set_state(state)
    uniform = torch.rand(draft_token_ids.shape, generator=generator)
    if draft_probs is None:
        residual = target_probs.scatter(2, draft_token_ids[:, :, None], 0)
    else:
        residual = (target_probs - draft_probs).clamp(min=0)
    sums = residual.cumsum(2)
    recovered = (sums < uniform[:, :, None] * sums[:, :, -1:]).sum(2)
    replacements = torch.where(is_greedy[:, None], target_probs.argmax(2), recovered)
    return _assembled(draft_token_ids, num_draft_tokens, accepted, replacements, bonus_token_ids)
