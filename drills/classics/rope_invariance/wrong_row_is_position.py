"""Takes the row in the batch for the position: right for one prefill, wrong for the first decode."""
import torch

from drills.classics.rope_invariance import solution
from drills.classics.rope_invariance.solution import cos_sin_cache

FAILS = {"test_positions_are_not_rows": "each compared with itself alone", "test_what_is_a_pair": "a one at 0",
         "test_the_score_depends_on_the_distance_only": "where is the position"}


def rotate(x, positions, cache):
    return solution.rotate(x, torch.arange(len(x)) % len(cache), cache)
