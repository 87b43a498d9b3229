"""Decodes the whole request for every token: right, and quadratic."""
from drills.classics.incremental_detokenisation import solution
from drills.classics.incremental_detokenisation.solution import Vocabulary

FAILS = {"test_a_token_costs_the_same_whatever_came_before": "not from the beginning"}


class Detokenizer(solution.Detokenizer):
    def _prefix_and_text(self):
        return self.vocabulary.decode(self.token_ids[:self.read_offset]), self.vocabulary.decode(self.token_ids)
