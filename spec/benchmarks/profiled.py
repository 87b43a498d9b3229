"""`python -m spec.benchmarks.profiled [KERNEL …]`: what NVIDIA's profiler shows of our kernels beside vLLM's, on a GPU where `ncu` is.

The benchmark says how long a kernel takes, this says why: how many bytes really moved, how hard memory worked, and what the rest of the
GPU did meanwhile. One launch each of every shape, with its caches flushed before, at the clocks that the GPU chooses; the profiler's
own times are a little longer than the benchmark's. First comes a plain `torch.neg`: what memory does if nothing else is asked.

It starts itself anew under `ncu`; each launch stands in an NVTX range that names it.
"""
import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from reference import vllm_kernels
from spec.benchmarks.contest import Case, Contestant
from spec.benchmarks.gpu_time import GpuClock
from spec.benchmarks.kernel_cases import CASES
from spec.benchmarks.kernel_command import parse, parser_of, write

METRICS = {"us": "gpu__time_duration.sum", "read": "dram__bytes_read.sum", "written": "dram__bytes_write.sum",
           "memory": "dram__throughput.avg.pct_of_peak_sustained_elapsed", "issuing": "smsp__issue_active.avg.pct_of_peak_sustained_active",
           "warps": "sm__warps_active.avg.pct_of_peak_sustained_active", "registers": "launch__registers_per_thread",
           "waiting": "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio",
           "barriers": "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio"}
UNITS = {"ns": 1e-3, "us": 1.0, "usecond": 1.0, "nsecond": 1e-3, "ms": 1e3, "msecond": 1e3,
         "byte": 1.0, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}     # to microseconds, and to bytes
HERE, FEWEST = "spec.benchmarks.profiled", "fewest bytes: "
NUMBERS = 1 << 28       # that the plain kernel reads and writes


class NoProfiler(RuntimeError):
    """`ncu` is missing, or refused to work."""


@dataclass(frozen=True)
class Profile:
    """One kernel, in the order they ran. `us`: microseconds. `read`, `written`: bytes to and from memory. `memory`, `issuing`, `warps`: in
    percent of what the GPU can: of its memory's throughput, of the cycles in which a scheduler issues, and of the warps that could be there.
    `waiting`, `barriers`: warps that stand still for memory, and at barriers, for each instruction issued."""

    launch: str     # the benchmark's kernel, its shape, and whose
    kernel: str     # the function on the GPU: a launch may be several
    us: float
    read: float
    written: float
    memory: float
    issuing: float
    warps: float
    registers: float
    waiting: float
    barriers: float


def profiles(lines: list[str]) -> list[Profile]:
    """Of ncu's CSV (`--page raw`). Raises `NoProfiler` where there is none."""
    rows = list(csv.DictReader(line for line in lines if line.startswith('"')))
    if len(rows) < 2:
        raise NoProfiler("ncu profiled nothing, and said:\n" + "".join(line for line in lines if not line.startswith('"')).strip())
    units, *rows = rows
    return [Profile(*_names(row["Kernel Name"]), **{name: float(row[metric].replace(",", "")) * UNITS.get(units[metric], 1.0) for name, metric in METRICS.items()})
            for row in rows]


def _names(name: str) -> tuple[str, str]:
    """A launch and a kernel, of "range/type kernel<of types>(arguments)"."""
    launch, kernel = name.split("/", maxsplit=1)
    for inner in (r"\([^()]*\)", "<[^<>]*>"):    # arguments first: a condition in them may hold a >
        while re.search(inner, kernel):
            kernel = re.sub(inner, "", kernel)
    return launch, re.split(r"::|\s", kernel.strip())[-1]


def profile(kernels: list[str]) -> tuple[dict[str, int], list[Profile]]:
    """(the fewest bytes by launch, what was seen), of the kernels whose names begin so. Raises `NoProfiler`."""
    if not (ncu := shutil.which("ncu")):
        raise NoProfiler("ncu is not on the PATH: install NVIDIA Nsight Compute, which CUDA's toolkit has")
    command = [ncu, "--clock-control", "none", "--profile-from-start", "off", "--nvtx", "--print-nvtx-rename", "kernel", "--csv", "--page", "raw",
               "--metrics", ",".join(METRICS.values()), sys.executable, "-m", HERE, "--launch", *kernels]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines(keepends=True)
    fewest = next((json.loads(line.removeprefix(FEWEST)) for line in lines if line.startswith(FEWEST)), None)
    if done.returncode or fewest is None:
        raise NoProfiler(f"ncu ended with {done.returncode}:\n" + "".join(line for line in lines if not line.startswith('"')).strip())
    return fewest, profiles(lines)


def launch(cases: list[Case]) -> None:
    """What is profiled: each contestant of each case, once, after it was run once. Says at the end how few bytes each could move."""
    clock, fewest = GpuClock(), {}

    def show(name: str, num_bytes: int, contestant: Contestant) -> None:
        print(name, file=sys.stderr, flush=True)
        fewest[name], run = num_bytes, contestant.launches()[0]
        run()
        contestant.restore()
        torch.cuda.synchronize()
        torch.cuda.cudart().cudaProfilerStart()
        torch.cuda.nvtx.range_push(name)
        run()
        torch.cuda.synchronize()
        torch.cuda.nvtx.range_pop()
        torch.cuda.cudart().cudaProfilerStop()

    source = torch.randn(NUMBERS, device=clock.device).bfloat16()
    target = torch.empty_like(source)
    show(f"torch.neg, {source.nbytes / (1 << 30)} GiB", 2 * source.nbytes, Contestant(lambda source, target: torch.neg(source, out=target), [(source, target)]))
    for case in cases:
        contest = case.contest(clock)
        show(f"{case.kernel}, {case.shape}: ours", contest.num_bytes, contest.ours)
        for name, make in contest.rivals.items():
            if name.startswith("vLLM") and vllm_kernels.available():
                show(f"{case.kernel}, {case.shape}: {name}", contest.num_bytes, make())
        del contest
        torch.cuda.empty_cache()
    print(FEWEST + json.dumps(fewest), flush=True)


def table(fewest: dict[str, int], seen: list[Profile]) -> Iterator[str]:
    """A line a kernel. Bytes: what all kernels of a launch together moved, as a share of the fewest."""
    moved = {launch: sum(each.read + each.written for each in seen if each.launch == launch) / num_bytes for launch, num_bytes in fewest.items()}
    width, wide = (max(len(name) for name in names) for names in ([each.launch for each in seen], [each.kernel for each in seen]))
    yield f"{'':<{width}}  {'':<{wide}}        us  bytes  memory  issuing  warps  registers  waiting  at barriers"
    told = None
    for each in seen:
        first, told = each.launch != told, each.launch
        yield (f"{each.launch if first else '':<{width}}  {each.kernel:<{wide}}  {each.us:>8,.1f}  {f'{moved[told]:.3f}' if first else '':>5}  {each.memory:>5.1f}%  "
               f"{each.issuing:>6.1f}%  {each.warps:>4.0f}%  {each.registers:>9.0f}  {each.waiting:>7.1f}  {each.barriers:>11.1f}")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(HERE, "Profile our kernels and vLLM's with NVIDIA's ncu, on a GPU.")
    parser.add_argument("--launch", action="store_true", help=argparse.SUPPRESS)
    asked = parse(parser, argv, CASES)
    if asked.launch:
        launch(asked.cases)
        return 0
    try:
        fewest, seen = profile(asked.kernels)
    except NoProfiler as error:
        print(error, file=sys.stderr)
        return 1
    print(*table(fewest, seen), sep="\n")
    write("profile", parser, asked, torch.cuda.get_device_properties(0).name, **{"fewest bytes": fewest}, profiles=[asdict(each) for each in seen])
    return 0


if __name__ == "__main__":
    sys.exit(main())
