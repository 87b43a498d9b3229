"""Rounds the number of words down: the last tokens of the vocabulary are always allowed."""
import torch

from drills.data_structures.grammar_bitmask import solution
from drills.data_structures.grammar_bitmask.solution import pack

FAILS = {"test_what_is_not_allowed_is_minus_infinity": "vocabulary 1,", "test_all_or_nothing": "vocabulary 40",
         "test_rows_without_a_grammar_stay": "vocabulary 40", "test_bits_beyond_the_vocabulary": "vocabulary 33",
         "test_the_logits_may_be_a_part_of_a_larger_tensor": "numbers are wrong"}


def apply_bitmask(logits, bitmask, rows):
    words = logits.shape[1] // 32
    solution.apply_bitmask(logits[:, :words * 32], bitmask[:, :words], rows)
