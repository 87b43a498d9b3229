"""`python -m spec.benchmarks.trials [KERNEL …]`: what was tried for a kernel, beside what its launcher chooses and beside vLLM's, on a GPU.

A race of the benchmark, in which other tiles, other warps or another version of ours are rivals too: all take turns on the same numbers, a
result that is wrong is an error, and so is a time that is impossible. The notes in `kernels/*.md` quote it. To try something else,
write it into `TRIALS`: a trial is the arguments that the launcher gets beside its tensors.
"""
import copy
import gc
import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from reference import vllm_kernels
from spec.benchmarks.contest import Case, Contest, Contestant
from spec.benchmarks.gpu_time import GpuClock
from spec.benchmarks.kernel_cases import CASES
from spec.benchmarks.kernel_command import parse, parser_of, write
from spec.benchmarks.kernel_race import Row, Turns, WrongResult, race


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


def with_trials(case: Case, trials: list[dict]) -> Case:
    """`case`, in which each of `trials` is a rival."""
    def build(clock, **arguments) -> Contest:
        contest = case.build(clock, **arguments)
        contest.rivals = {label(trial): partial(_rival, contest, trial) for trial in trials} | contest.rivals
        return contest
    return replace(case, build=build)


def _rival(contest: Contest, trial: dict) -> Contestant:
    """Ours, launched with `trial`. It has the same tensors, so what it leaves there is held against the twin: beside ours it would always be equal."""
    def check(arguments: tuple, returned: object) -> None:
        try:
            contest.check(*contest.ours.seen(arguments, returned))
        except AssertionError as error:
            raise WrongResult(f"with {label(trial)}: {error}") from error

    rival = copy.copy(contest.ours)     # and not made anew: what its rounds begin with is what ours began with, which by now is changed in place
    rival.launch, rival.seen = partial(contest.ours.launch, **trial), check
    return rival


def label(trial: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in trial.items())


def fastest_first(row: Row) -> list[dict]:
    """`slower`: than what the launcher chooses, round by round."""
    return [{"kernel": row.case.kernel, "shape": row.case.shape, "trial": "as it is" if name == "ours" else name, "us": round(row.median(name) * 1e6, 2),
             "of ceiling": round(row.of_ceiling(name), 4), "slower": round(row.ratio(name) - 1, 4)} for name in sorted(row.times, key=row.median)]


def table(row: Row) -> Iterator[str]:
    found = fastest_first(row)
    width = max(len(each["trial"]) for each in found)
    yield f"{row.case.kernel}, {row.case.shape}"
    for each in found:
        mark = ">" if each["trial"] == "as it is" else " "
        yield f"  {mark} {each['trial']:<{width}}  {each['us']:>9,.1f} us  {each['of ceiling']:>5.0%} of the ceiling  {each['slower']:>+7.1%}"
    for name, why in row.absent.items():
        yield f"    {name}: {why}"


def main(argv: list[str] | None = None) -> int:
    parser = parser_of("spec.benchmarks.trials", "Time what was tried for the kernels, side by side, on a GPU.")
    asked = parse(parser, argv, [case for case in CASES if case.kernel in TRIALS])
    if not vllm_kernels.available():
        print(f"without vLLM's kernels: {vllm_kernels.WANTED}")
    clock, found = GpuClock(), []
    for case in asked.cases:
        row = race(with_trials(case, TRIALS[case.kernel]), clock, Turns())
        print(*table(row), sep="\n", flush=True)
        found += fastest_first(row)
        gc.collect()
        torch.cuda.empty_cache()
    write("trials", parser, asked, clock.name, **{"copy TB/s": round(clock.ceilings.bytes_per_second / 1e12, 3)}, trials=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
