"""Takes the timed compilation for a missing warm-up: it did warm up, but with another length."""
from drills.hpc.flawed_benchmarks import solution
from drills.hpc.flawed_benchmarks.solution import *  # noqa: F403

FAILS = {"test_each_flaw_has_its_name": 'flawed_2: you say "no warm-up"'}


def flaws():
    return solution.flaws() | {"flawed_2": "no warm-up", "flawed_5": "compilation is timed"}
