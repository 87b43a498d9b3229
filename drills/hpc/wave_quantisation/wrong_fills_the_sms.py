"""The rule of thumb: as many splits as there are places for each pair. It rounds down, and an idle third of the machine remains."""
from drills.hpc.wave_quantisation.solution import *  # noqa: F403

FAILS = {"test_a_wave_which_is_nearly_empty": "your 1 splits take 64, but", "test_merging_costs": "would take", "test_any_case": "would take"}


def best_splits(pairs, blocks, sms, per_sm, merge=0.0, most=128):
    return max(1, min(sms * per_sm // pairs, blocks, most))
