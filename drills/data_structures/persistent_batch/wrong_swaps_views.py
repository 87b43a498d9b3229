"""Exchanges rows of an array as one exchanges two Python values: they are views, and both become the same."""
from drills.data_structures.persistent_batch import solution

FAILS = {"test_the_life_of_a_batch": "yours: returns", "test_two_rows_change_places": "r2 is in row 0 now|r0 is in row 2 now"}


class PersistentBatch(solution.PersistentBatch):
    def swap(self, one, other):
        before = self.token_ids.copy()
        super().swap(one, other)
        tokens = self.token_ids
        tokens[:] = before
        tokens[one], tokens[other] = tokens[other], tokens[one]
