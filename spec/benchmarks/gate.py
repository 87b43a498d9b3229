"""`python -m spec.benchmarks.gate [JSON …]`: fail where a ratio of a benchmark on a GPU is below its bar: `make bench-gate`.

Without files, the newest that the benchmarks left in `reports/runs`. All bars are ratios of what was measured in one run: to vLLM, or
to a copy's speed; never times. Two runs of one commit differ, so a bar is missed where a ratio is below it by more than the noise.
What is known to miss its bar is in `known_misses.py`, and nothing else may.
"""
import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.benchmark_runs import NotABenchmarkFile, read_session
from spec.benchmarks.engine_row import PER_SECOND, TIMES
from spec.benchmarks.known_misses import KNOWN_MISSES, KnownMiss

RUNS = Path(__file__).parents[2] / "reports" / "runs"
KERNELS_DIFFER = 0.02   # from run to run, by a percent or two
ENGINES_DIFFER = 0.06   # vLLM's settles at another speed whenever it is started: ours was 1.05 times as fast, and ten minutes later, on the same host, 1.11 times
ON_TWO_GPUS = "1.00x vLLM"      # of whatever is measured there
MET, KNOWN, MISSED, WORSE, STALE, UNMEASURED = "met", "known miss", "MISSED", "WORSE THAN KNOWN", "STALE ENTRY", "NOT MEASURED"
FAILURES = (MISSED, WORSE, STALE, UNMEASURED)


class NothingMeasured(ValueError):
    """In these files, nothing was measured on a GPU that a bar was asked for."""


@dataclass(frozen=True)
class Bar:
    """`wanted`, `reached`: None for a bar that is no number, which has a `verdict`. `noise`: by which share of itself it differs from run to run."""

    gpu: str
    row: str
    bar: str
    wanted: float | None
    reached: float | None
    verdict: str = ""
    noise: float = KERNELS_DIFFER


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.benchmarks.gate", description="Fail where a ratio is below its bar.")
    parser.add_argument("files", nargs="*", type=Path, metavar="JSON", help="what `make bench` wrote; the newest in reports/runs if none is given")
    asked = parser.parse_args(argv)
    try:
        files = asked.files or newest()
        bars = [bar for path in files for row in read_session(path).benchmarks for bar in bars_of(row.get("extra_info") or {})]
        if not bars:
            raise NothingMeasured(f"{', '.join(path.name for path in files) or 'reports/runs'}: no bar was measured on a GPU; run `make bench-kernels`, `make bench-engines` or `make bench-two-gpus` on a host that has one")
    except (OSError, NotABenchmarkFile, NothingMeasured) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    judged = [(bar, *judge(bar, KNOWN_MISSES)) for bar in bars]
    table = markdown(judged)
    print(table)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as file:
            file.write(f"{table}\n")
    return int(any(verdict in FAILURES for _, verdict, _ in judged))


def newest() -> list[Path]:
    return sorted(RUNS.glob("bench*.json"), key=lambda path: path.stat().st_mtime)[-1:]


def bars_of(row: dict) -> Iterator[Bar]:
    """The bars of what was measured on a GPU; of anything else, none."""
    gpu = row.get("gpu", "")
    if gpu and "kernel" in row:
        for bar in filter(None, row["bar"].split(", ")):
            yield _bar(gpu, f"{row['kernel']}, {row['shape']}", bar, row, "")
    elif gpu and "engine row" in row:
        for bar, verdict in row["bars"].items():
            yield replace(_bar(gpu, row["engine row"], bar, row, verdict), noise=ENGINES_DIFFER)
    elif gpu and row.get("unit") in (PER_SECOND, *TIMES) and "two gpus row" in row:
        yield replace(_bar(gpu, row["two gpus row"], ON_TWO_GPUS, row, ""), noise=ENGINES_DIFFER)


def _bar(gpu: str, name: str, bar: str, row: dict, verdict: str) -> Bar:
    """"1.10x vLLM" is a ratio to the best of vLLM's, "3.00x torch.sort" to that rival; "85% of ceiling" to what the memory or the tensor cores allow."""
    if found := re.fullmatch(r"([\d.]+)x (.+)", bar):
        wanted, rival = float(found[1]), found[2]
        return Bar(gpu, name, bar, wanted, row.get("ratio to vLLM") if rival == "vLLM" else row.get(f"times as fast as {rival}"))
    if found := re.fullmatch(r"(\d+)% of ceiling", bar):
        return Bar(gpu, name, bar, int(found[1]) / 100, row.get("ours of ceiling"))
    return Bar(gpu, name, bar, None, None, verdict)


def judge(bar: Bar, known_misses: Sequence[KnownMiss]) -> tuple[str, str]:
    """The verdict, and what there is to say."""
    known = next((each for each in known_misses if (each.row, each.bar) == (bar.row, bar.bar) and bar.gpu in each.reached), None)
    if bar.wanted is None:
        return (MET if bar.verdict == "met" else MISSED if bar.verdict == "missed" else UNMEASURED), ""
    if bar.reached is None:
        return UNMEASURED, "who it is measured by did not take part: is vLLM installed here?"
    if not known:
        return (MET, "") if bar.reached >= bar.wanted * (1 - bar.noise) else (MISSED, "")
    floor = known.reached[bar.gpu]
    if bar.reached < floor * (1 - bar.noise):
        return WORSE, f"known: {floor:.3f}. {known.reason}"
    if known.strict and bar.reached >= bar.wanted * (1 + bar.noise):
        return STALE, "it is met now: remove the entry from spec/benchmarks/known_misses.py"
    return KNOWN, known.reason


def markdown(judged: list[tuple[Bar, str, str]]) -> str:
    lines = ["## Bars", "", "| | asked for | reached | | |", "| --- | ---: | ---: | --- | --- |"]
    lines += [f"| {bar.row} | {bar.bar} | {'' if bar.reached is None else f'{bar.reached:.3f}'} | {f'**{verdict}**' if verdict in FAILURES else verdict} | {why} |"
              for bar, verdict, why in judged]
    failed = sum(verdict in FAILURES for _, verdict, _ in judged)
    return "\n".join([*lines, "", f"{len(judged)} bars on {', '.join(sorted({bar.gpu for bar, *_ in judged}))}: {failed} failed.", ""])


if __name__ == "__main__":
    raise SystemExit(main())
