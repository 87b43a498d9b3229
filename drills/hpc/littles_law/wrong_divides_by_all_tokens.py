"""Divides by the number of tokens: the first one has been waited for already, the others share the time."""
from drills.hpc.littles_law.solution import *  # noqa: F403

FAILS = {"test_first_token_and_between": "s for each token after the first"}


def time_per_output_token(token_times):
    return (token_times[-1] - token_times[0]) / len(token_times)
