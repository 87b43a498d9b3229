"""Counts whole waves only: the last, incomplete one takes as long as the others."""
from drills.hpc.wave_quantisation.solution import *  # noqa: F403

FAILS = {"test_waves": "1 programs, 4 SMs, 1 on each at a time: 1 waves, not 0"}


def waves(programs, sms, per_sm):
    return programs // (sms * per_sm)
