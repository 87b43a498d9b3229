"""Closes a hole by moving all later rows up by one: in order, and as many copies as there are requests."""
from drills.data_structures.persistent_batch import solution

FAILS = {"test_the_life_of_a_batch": "yours: returns", "test_the_last_fills_the_hole": "only the last row has to move",
         "test_who_leaves_costs_the_same_however_many_run": "one hole is one move"}


class PersistentBatch(solution.PersistentBatch):
    def condense(self):
        moves, target = [], 0
        for row, request in enumerate(self._requests):
            if request is not None:
                if row != target:
                    self._copy(row, target)
                    self._rows[request] = target
                    moves.append((row, target))
                target += 1
        self._requests = [request for request in self._requests if request is not None]
        self._holes = []
        return moves
