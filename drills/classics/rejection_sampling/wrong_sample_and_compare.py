"""Draws from the target and accepts the draft if it is the same token: the right distribution, and too few accepted."""
from drills.classics.rejection_sampling.solution import _assembled, _replacements

FAILS = {"test_as_many_are_accepted_as_can_be": "speed thrown away", "test_what_the_target_would_draw_anyway_is_accepted": "of 500 differ",
         "test_a_draft_that_could_not_be_drawn": "is rejected"}


def rejection_sample(draft_token_ids, num_draft_tokens, draft_probs, target_probs, bonus_token_ids, is_greedy, generator):
    ours = _replacements(draft_token_ids, target_probs * 0, target_probs, is_greedy, generator)
    return _assembled(draft_token_ids, num_draft_tokens, ours == draft_token_ids, ours, bonus_token_ids)
