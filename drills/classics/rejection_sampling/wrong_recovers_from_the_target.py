"""Draws the recovered token from the target itself: what the drafts are accepted for already gets a second chance."""
from drills.classics.rejection_sampling.solution import _accepted, _assembled, _replacements

FAILS = {"test_the_first_token_is_the_targets": "with a probability of", "test_the_second_token_is_the_targets_after_the_first": "after token 0",
         "test_drafts_that_are_certain_of_themselves": "the draft is always 1", "test_a_draft_that_could_not_be_drawn": "comes from the residual"}


def rejection_sample(draft_token_ids, num_draft_tokens, draft_probs, target_probs, bonus_token_ids, is_greedy, generator):
    accepted = _accepted(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    replacements = _replacements(draft_token_ids, target_probs * 0, target_probs, is_greedy, generator)
    return _assembled(draft_token_ids, num_draft_tokens, accepted, replacements, bonus_token_ids)
