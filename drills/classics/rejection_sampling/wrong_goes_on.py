"""Judges every draft for itself, also those behind a rejected one."""
import torch

from drills.classics.rejection_sampling.solution import _accepted, _replacements

FAILS = {"test_greedy": "nothing follows", "test_the_first_token_is_the_targets": "the draft was accepted",
         "test_as_many_are_accepted_as_can_be": "the draft was accepted", "test_drafts_that_are_certain_of_themselves": "the draft was accepted",
         "test_the_second_token_is_the_targets_after_the_first": "a second token can only follow", "test_a_draft_that_could_not_be_drawn": "is rejected"}


def rejection_sample(draft_token_ids, num_draft_tokens, draft_probs, target_probs, bonus_token_ids, is_greedy, generator):
    accepted = _accepted(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    replacements = _replacements(draft_token_ids, draft_probs, target_probs, is_greedy, generator)
    positions = torch.arange(draft_token_ids.shape[1] + 1)
    output = torch.cat([torch.where(accepted, draft_token_ids, replacements), bonus_token_ids[:, None]], 1)
    output = torch.where(positions == num_draft_tokens[:, None], bonus_token_ids[:, None], output)
    return torch.where(positions > num_draft_tokens[:, None], -1, output)
