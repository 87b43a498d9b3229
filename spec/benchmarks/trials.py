"""`python -m spec.benchmarks.trials [KERNEL …]`: what was tried for a kernel, beside what its launcher chooses and beside vLLM's, on a GPU.

All of a shape's contestants take turns in one run, timed as in the benchmark, and a trial whose result is wrong is an error. The
notes in `kernels/*.md` quote it. To try something else, write it into `TRIALS`: a trial is the arguments that the launcher gets beside
its tensors.
"""
import argparse
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from kernels import has_gpu
from reference import vllm_kernels
from spec.benchmarks.contest import Case
from spec.benchmarks.gpu_time import GpuClock, provenance
from spec.benchmarks.kernel_cases import CASES, chosen

CHOSEN = "as it is"
ROUNDS, WARM_UP = 11, 2


def grid(**options: tuple) -> list[dict]:
    """Every combination."""
    return [dict(zip(options, values)) for values in itertools.product(*options.values())]


ROWS = [dict(rows_per_program=rows, num_warps=warps) for rows, warps in ((1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (2, 1), (2, 2), (2, 4), (4, 4), (4, 8))]
TRIALS: dict[str, list[dict]] = {
    "RMS norm": [dict(version="naive"), *ROWS],
    "add and RMS norm": ROWS,
    "SiLU and mul": [dict(columns_per_program=columns, num_warps=warps) for columns, warps in
                     ((256, 2), (512, 2), (512, 4), (1024, 2), (1024, 4), (1024, 8), (1024, 16), (2048, 8), (2048, 16), (4096, 8), (4096, 16))],
    "rope": grid(num_warps=(1, 2, 4, 8, 16)),
    "cache write": grid(rows_per_program=(8, 16, 32, 64), num_warps=(2, 4, 8)),
    "norm, rope and cache write in one": grid(num_warps=(1, 2, 4, 8, 16)),
    "top-k and top-p": [*grid(chunk=(2048, 8192)), *grid(bins=(16, 32, 128)), *grid(sample=(512, 2048)), *grid(histogram_warps=(2, 8)), *grid(gather_warps=(2, 8)),
                        dict(bisect_tile=512, bisect_warps=2), dict(bisect_tile=4096, bisect_warps=8), *grid(mask_chunk=(1024, 2048, 8192))],
    "greedy": grid(chunk=(1024, 2048, 4096, 8192), num_warps=(2, 4, 8)),
    "Gumbel sampling": grid(chunk=(512, 1024, 2048, 4096), num_warps=(2, 4, 8)),
    "penalties": grid(chunk=(1024, 2048, 4096), num_warps=(2, 4, 8)),
}


@dataclass(frozen=True)
class Tried:
    """`seconds`: of one launch, the median. `of_ceiling`: the fewest bytes at a copy's speed, over that. `slower`: than what is chosen, round by round."""

    kernel: str
    shape: str
    trial: str
    seconds: float
    of_ceiling: float
    slower: float


def tried(case: Case, clock, trials: list[dict], compare: bool) -> list[Tried]:
    """`trials` of one case, what is chosen, and with `compare` vLLM's kernels; in turns. Raises `AssertionError` of a wrong result."""
    contest = case.contest(clock)
    contestants = {CHOSEN: contest.ours} | {label(trial): replace(contest.ours, launch=partial(contest.ours.launch, **trial)) for trial in trials}
    contestants |= {name: make() for name, make in contest.rivals.items() if compare or not name.startswith("vLLM")}
    rounds = {name: clock.contestant(each.launches(), each.restore if each.in_place else None, each.capture) for name, each in contestants.items()}
    times = {name: [] for name in rounds}
    for _ in range(WARM_UP + ROUNDS):
        for name, one_round in rounds.items():
            times[name].append(one_round())
    times = {name: each[WARM_UP:] for name, each in times.items()}
    for name, each in contestants.items():
        if name in (CHOSEN, *map(label, trials)):
            contest.check(*each.result())
    floor = clock.ceilings.floor(contest.num_bytes, contest.flops if contest.rate == "TFLOP/s" else 0)
    medians = {name: statistics.median(each) for name, each in times.items()}
    return [Tried(case.kernel, case.shape, name, medians[name], floor / medians[name],
                  statistics.median(mine / chosen for mine, chosen in zip(times[name], times[CHOSEN])) - 1)
            for name in sorted(times, key=medians.get)]


def label(trial: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in trial.items())


def table(rows: list[Tried]) -> Iterator[str]:
    """Of one case, fastest first."""
    width = max(len(row.trial) for row in rows)
    yield f"{rows[0].kernel}, {rows[0].shape}"
    for row in rows:
        mark = ">" if row.trial == CHOSEN else " "
        yield f"  {mark} {row.trial:<{width}}  {row.seconds * 1e6:>9,.1f} us  {row.of_ceiling:>5.0%} of the ceiling  {row.slower:>+7.1%}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.benchmarks.trials", description="Time what was tried for the kernels, side by side, on a GPU.")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="beginnings of names; all if none is given")
    parser.add_argument("-o", "--output", type=Path, help="reports/runs/trials-<time>.json if not given")
    asked = parser.parse_args(argv)
    try:
        cases = chosen(asked.kernels, [case for case in CASES if case.kernel in TRIALS])
    except ValueError as error:
        parser.error(str(error))
    if not has_gpu():
        print("trials need an NVIDIA GPU: run this on a machine that has one", file=sys.stderr)
        return 1
    clock, compare = GpuClock(), vllm_kernels.available()
    if not compare:
        print(f"without vLLM's kernels: {vllm_kernels.WANTED}")
    facts = {"gpu": clock.name, **provenance(), "command": " ".join(["python -m spec.benchmarks.trials", *map(repr, asked.kernels)]),
             "started": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), "copy TB/s": round(clock.ceilings.bytes_per_second / 1e12, 3)}
    rows = []
    for case in cases:
        rows += (found := tried(case, clock, TRIALS[case.kernel], compare))
        print(*table(found), sep="\n", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    output = asked.output or Path("reports/runs") / time.strftime("trials-%Y%m%d-%H%M%S.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    kept = [{"kernel": row.kernel, "shape": row.shape, "trial": row.trial, "us": round(row.seconds * 1e6, 2), "of ceiling": round(row.of_ceiling, 4),
             "slower": round(row.slower, 4)} for row in rows]
    output.write_text(json.dumps({**facts, "trials": kept}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
