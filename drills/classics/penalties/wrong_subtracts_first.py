"""Subtracts first, and then lets the repetition penalty decide by the sign of what is left."""
import torch

from drills.classics.penalties import solution

FAILS = {"test_repetition_comes_first": r"got \[0\.25, -0\.5\]", "test_random_batches": "numbers are wrong", "test_a_placeholder_is_no_token": "got"}


def apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties, repetition_penalties):
    ones, zeros = torch.ones_like(repetition_penalties), torch.zeros_like(repetition_penalties)
    solution.apply_penalties(logits, prompt_token_ids, output_token_ids, presence_penalties, frequency_penalties, ones)
    return solution.apply_penalties(logits, prompt_token_ids, output_token_ids, zeros, zeros, repetition_penalties)
