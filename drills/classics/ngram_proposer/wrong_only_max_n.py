"""Looks for one length only, the largest allowed, instead of falling back to shorter ones."""
from drills.classics.ngram_proposer import solution

FAILS = {"test_any_tokens": r"got \[\], expected \[\d", "test_the_earliest_place_wins": r"got \[\], expected \[10\]",
         "test_borders_of_borders": r"got \[\]", "test_it_may_overlap_itself": r"got \[\]"}


def propose(token_ids, min_n, max_n, k, max_model_len):
    return solution.propose(token_ids, max_n, max_n, k, max_model_len)
