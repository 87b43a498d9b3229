"""Takes the splits whose waves are fullest, however unevenly they share the blocks and however much there is to merge."""
from drills.hpc.wave_quantisation.solution import *  # noqa: F403

FAILS = {"test_a_wave_which_is_nearly_empty": "would take", "test_any_case": "would take",
         "test_merging_costs": "would take"}


def best_splits(pairs, blocks, sms, per_sm, merge=0.0, most=128):
    return max(range(1, min(blocks, most) + 1), key=lambda splits: efficiency(pairs * splits, sms, per_sm))
