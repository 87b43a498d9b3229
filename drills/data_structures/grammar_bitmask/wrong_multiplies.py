"""Adds (1 - bit) times minus infinity: for an allowed token that is 0 times infinity, which is not a number."""
import torch

from drills.data_structures.grammar_bitmask.solution import pack

FAILS = {"test_what_is_not_allowed_is_minus_infinity": "do not multiply", "test_all_or_nothing": "do not multiply",
         "test_rows_without_a_grammar_stay": "do not multiply", "test_bits_beyond_the_vocabulary": "do not multiply",
         "test_the_logits_may_be_a_part_of_a_larger_tensor": "numbers are wrong"}


def apply_bitmask(logits, bitmask, rows):
    bits = (bitmask[:, :, None] >> torch.arange(32, dtype=torch.int32)) & 1
    logits[rows] += (1 - bits.flatten(1)[:, :logits.shape[1]]).to(logits.dtype) * float("-inf")
