"""The heap breaks ties by arrival, the wrong way round: of equals, the one that came first is the worst."""
import heapq

from drills.data_structures.bounded_heap import solution

FAILS = {"test_any_stream": "the best are", "test_equals_stay_in_their_order": "of the equals the one that came last has to go"}


class TopK(solution.TopK):
    def push(self, item, score):
        self._arrivals += 1
        if len(self) < self.k:
            heapq.heappush(self._heap, (score, self._arrivals, item))
        elif self._heap[0][0] < score:
            heapq.heapreplace(self._heap, (score, self._arrivals, item))
        else:
            return False
        return True

    def best(self):
        return [(item, score) for score, _, item in sorted(self._heap, key=lambda entry: (entry[0], -entry[1]), reverse=True)]
