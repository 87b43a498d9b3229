"""Lets the splits share the blocks evenly to the fraction; a program handles whole blocks."""
from drills.hpc.wave_quantisation.solution import *  # noqa: F403

FAILS = {"test_the_time_of_a_split": "the longest split has 3 blocks", "test_any_case": "(would take|take as long)",
         "test_merging_costs": "6 splits take as long as 5", "test_a_wave_which_is_nearly_empty": "your 31 splits take 32"}


def decode_time(pairs, blocks, splits, sms, per_sm, merge=0.0):
    return waves(pairs * splits, sms, per_sm) * blocks / splits + (merge * splits if splits > 1 else 0)


def best_splits(pairs, blocks, sms, per_sm, merge=0.0, most=128):
    return min(range(1, min(blocks, most) + 1), key=lambda splits: decode_time(pairs, blocks, splits, sms, per_sm, merge))
