"""Fills every hole, also one behind the last request: a request moves away from the front into it."""
from drills.data_structures.persistent_batch import solution

FAILS = {"test_the_life_of_a_batch": "yours: (returns|raises)", "test_holes_at_the_end_need_no_move": "all requests are in front already"}


class PersistentBatch(solution.PersistentBatch):
    def condense(self):
        moves = []
        for hole in sorted(self._holes):
            last = max(self._rows.values(), default=hole)
            if last != hole:
                self._copy(last, hole)
                self._requests[hole], self._requests[last] = self._requests[last], None
                self._rows[self._requests[hole]] = hole
                moves.append((last, hole))
        self._holes = []
        while self._requests and self._requests[-1] is None:
            self._requests.pop()
        return moves
