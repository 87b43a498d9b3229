"""One process of a campaign: `python -m spec.fuzz.shard FIRST STOP STEP KIND` plays the seeds of that range.

It prints a tally in JSON, one line for every `REPORT_EVERY` workloads.
"""
import gc
import json
import sys
from random import Random

from spec.fuzz.duel import Tally, duel, smallest
from spec.fuzz.generator import random_workload
from spec.fuzz.regressions import keep

REPORT_EVERY = 50


def play_seeds(seeds: range, kind: str) -> None:
    duel(random_workload(Random(0), kind))
    gc.collect()
    gc.freeze()     # vLLM's modules are many and stay: do not walk them at every collection
    tally = Tally()
    for number, seed in enumerate(seeds, 1):
        workload = random_workload(Random(seed), kind)
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
    play_seeds(range(*map(int, sys.argv[1:4])), sys.argv[4])
