"""Drops what is held back when the request ends."""
from drills.classics.incremental_detokenisation import solution
from drills.classics.incremental_detokenisation.solution import Vocabulary

FAILS = {"test_what_is_held_back_comes_at_the_end": r"with finish\(\), '' was sent", "test_any_tokens": r"with finish\(\)"}


class Detokenizer(solution.Detokenizer):
    def finish(self):
        return ""
