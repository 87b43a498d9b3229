"""Applies row i of the bitmask to row i of the logits: with other requests in between, to the wrong one."""
from drills.data_structures.grammar_bitmask import solution
from drills.data_structures.grammar_bitmask.solution import pack

FAILS = {"test_rows_without_a_grammar_stay": r"rows \[3, 1\] of 5", "test_bits_beyond_the_vocabulary": r"rows \[1\] of 2",
         "test_the_logits_may_be_a_part_of_a_larger_tensor": "numbers are wrong"}


def apply_bitmask(logits, bitmask, rows):
    solution.apply_bitmask(logits, bitmask, list(range(len(rows))))
