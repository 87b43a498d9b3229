"""Splits a row into more parts when there are few rows: the same row has another sum in another batch."""
from drills.hpc.summation_order.solution import *  # noqa: F403
from drills.hpc.summation_order.solution import row_sums_by_batch as row_sums  # noqa: F401

FAILS = {"test_a_row_does_not_see_its_batch": "order of the additions depends on the batch"}
