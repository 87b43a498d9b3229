"""One process of a campaign: `python -m spec.fuzz.shard FIRST STOP STEP [speculative]` plays the seeds of that range.

It prints a tally in JSON, one line for every `REPORT_EVERY` workloads.
"""
import gc
import json
import sys
from collections.abc import Callable
from random import Random

from reference.workload import Workload
from spec.fuzz.duel import Tally, duel, smallest
from spec.fuzz.generator import random_speculative_workload, random_workload
from spec.fuzz.regressions import keep

REPORT_EVERY = 50


def play_seeds(seeds: range, make: Callable[[Random], Workload]) -> None:
    duel(make(Random(0)))
    gc.collect()
    gc.freeze()     # vLLM's modules are many and stay: do not walk them at every collection
    tally = Tally()
    for number, seed in enumerate(seeds, 1):
        workload = make(Random(seed))
        wrong, theirs = duel(workload)
        if theirs:
            tally.add(workload, theirs)
        if wrong:
            small = smallest(workload)
            wrong = duel(small)[0] or wrong
            tally.wrong.append((f"seed {seed}: {wrong}", str(keep(small, wrong))))
        if number % REPORT_EVERY == 0 or number == len(seeds):
            print(json.dumps(vars(tally)), flush=True)
            tally = Tally()


if __name__ == "__main__":
    play_seeds(range(*map(int, sys.argv[1:4])), random_speculative_workload if "speculative" in sys.argv else random_workload)
