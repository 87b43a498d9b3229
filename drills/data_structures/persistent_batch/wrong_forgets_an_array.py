"""A request moves with its tokens and without its temperature: it is sampled with that of the one who left."""
from drills.data_structures.persistent_batch import solution

FAILS = {"test_the_life_of_a_batch": "yours: returns", "test_the_last_fills_the_hole": "with all that belongs to it"}


class PersistentBatch(solution.PersistentBatch):
    def _copy(self, source, target):
        self.token_ids[target] = self.token_ids[source]
        self.num_tokens[target] = self.num_tokens[source]
