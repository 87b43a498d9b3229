"""`python -m reports.gpu_results reports/runs/bench-….json`: keep what a GPU was measured at, and show it in the README.

Of the files that `make bench` and `make bench-two-gpus` wrote on a GPU host, the rows about kernels, engines and two GPUs go into `reports/results/`,
to be committed: what was measured, where and how, without the single rounds. It keeps pytest-benchmark's form, so that the page
of the benchmarks shows it among the earlier runs. The README's tables, each between two markers, are made from the newest record
of each kind of GPU.
"""
import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reports import engine_table, two_gpus_table
from reports.benchmark_runs import NotABenchmarkFile, Session, read_session

HERE = Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
MACHINE = ("system", "release", "machine", "python_version", "torch", "triton", "vllm")


class NothingMeasured(ValueError):
    """In this file, nothing was measured on a GPU."""


@dataclass(frozen=True)
class Kind:
    """What is kept apart. `fact`: by which its rows are known."""

    name: str
    fact: str
    table: Callable[[dict], str]

    @property
    def markers(self) -> tuple[str, str]:
        return f"<!-- {self.name}:begin -->", f"<!-- {self.name}:end -->"

    def rows(self, benchmarks: list[dict]) -> list[dict]:
        return [each for each in benchmarks if each.get("extra_info", {}).get("gpu") and each["extra_info"].get(self.fact)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.gpu_results", description="Keep a GPU's results, and update the README's tables.")
    parser.add_argument("files", nargs="*", type=Path, metavar="JSON", help="what `make bench` wrote; several are one record. Without, the README is made anew from what is kept")
    parser.add_argument("--commit", help="the commit that was measured, where the GPU host had no git to ask")
    asked = parser.parse_args(argv)
    try:
        if asked.files:
            keep(asked.files, asked.commit)
        newest = {kind: newest_records(kind) for kind in KINDS}
        if not any(newest.values()):
            raise NothingMeasured(f"{RESULTS} is empty: name a file that `make bench` wrote on a GPU host")
    except (OSError, NotABenchmarkFile, NothingMeasured) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for kind, records in newest.items():
        if records:
            print(tables(records, kind))
            _update_readme(kind, records)
    return 0


def keep(paths: list[Path], commit: str | None = None) -> None:
    """Write a record of each kind that the files hold. Raises what `record` raises."""
    sessions = [read_session(path) for path in paths]
    found = [kind for kind in KINDS if any(kind.rows(session.benchmarks) for session in sessions)]
    if not found:
        raise NothingMeasured(f"{', '.join(path.name for path in paths)}: no kernel and no engine that was measured on a GPU; run `make bench` on a host that has one")
    RESULTS.mkdir(exist_ok=True)
    for kind in found:
        kept = record(sessions, kind, commit)
        path = RESULTS / name_of(kept, kind)
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"kept: {path}")


def record(sessions: list[Session], kind: Kind, commit: str | None = None) -> dict:
    """What is kept of the files' rows of a kind. Raises `NothingMeasured` unless they are of one GPU and one commit."""
    rows = [row for session in sessions for row in kind.rows(session.benchmarks)]
    measured = {(row["extra_info"]["gpu"], row["extra_info"].get("commit")) for row in rows}
    if len(measured) != 1:
        raise NothingMeasured(f"{len(measured)} pairs of GPU and commit in what is to be one record, {sorted(map(str, measured))}: keep them one by one")
    newest = max(sessions, key=lambda each: each.when)
    commit = commit or rows[0]["extra_info"].get("commit") or newest.commit
    cpu = newest.machine.get("cpu") or {}
    return {"datetime": newest.when, "commit_info": {"id": commit.removesuffix("-dirty"), "dirty": commit.endswith("-dirty")},
            "machine_info": {name: newest.machine[name] for name in MACHINE if name in newest.machine}
            | {"gpu": rows[0]["extra_info"]["gpu"], "cpu": {name: cpu[name] for name in ("brand_raw", "count") if name in cpu}},
            "benchmarks": [{"name": each["name"], "fullname": each.get("fullname", each["name"]), "params": each.get("params"),
                            "extra_info": _rounded(each["extra_info"]) | {"commit": commit},
                            "stats": {name: _rounded(each.get("stats", {}))[name] for name in ("median", "rounds") if name in each.get("stats", {})}}
                           for each in rows]}


def _rounded(figures: dict) -> dict:
    """Five digits: more are noise."""
    return {name: float(f"{value:.5g}") if isinstance(value, float) else _rounded(value) if isinstance(value, dict) else value
            for name, value in figures.items()}


def name_of(kept: dict, kind: Kind) -> str:
    """A kernels' record has the GPU's name and the day; any other begins with its kind."""
    gpu = re.sub(r"[^a-z0-9]+", "-", kept["benchmarks"][0]["extra_info"]["gpu"].lower()).strip("-")
    return f"{'' if kind is KERNELS else kind.name + '-'}{gpu}-{kept['datetime'][:10]}.json"


def newest_records(kind: Kind) -> list[dict]:
    """Of each kind of GPU, by its name."""
    records = sorted((json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")), key=lambda each: each["datetime"])
    by_gpu = {each["benchmarks"][0]["extra_info"]["gpu"]: each for each in records if kind.rows(each["benchmarks"])}
    return [by_gpu[name] for name in sorted(by_gpu, reverse=True)]


def tables(records: list[dict], kind: Kind) -> str:
    return "\n\n".join(map(kind.table, records))


def kernel_table(kept: dict) -> str:
    """Markdown, the losses left in."""
    facts = kept["benchmarks"][0]["extra_info"]
    where = (f"{facts['gpu']}, driver {facts['driver']}, torch {facts['torch']}, triton {facts['triton']}, vLLM {facts['vllm']}; "
             f"commit {facts['commit']}, {kept['datetime'][:10]}. Ceilings, measured in the same run: a copy moves {facts['ceilings']['copy TB/s']:.2f} TB/s, "
             f"a bfloat16 product of 8192³ does {facts['ceilings']['product TFLOP/s']:,.0f} TFLOP/s. Command: `{facts['command']}`")
    head = ["kernel", "shape", "µs", "rate", "of the ceiling", "vLLM's best, µs", "times as fast as vLLM", "asked for", ""]
    lines = [head, ["---", "---", "---:", "---:", "---:", "---:", "---:", "---", "---"], *(_line(each["extra_info"]) for each in kept["benchmarks"])]
    return "\n".join([where, "", *("| " + " | ".join(line) + " |" for line in lines)])


def _line(row: dict) -> list[str]:
    rate = next(unit for unit in ("TFLOP/s", "TB/s") if f"ours {unit}" in row)
    vllm = f"{row['vLLM us']:,.1f} ({row['best of vLLM'].removeprefix('vLLM').strip() or 'its own'})" if "vLLM us" in row else "not measured"
    asked_for = [f"{each}: {row[beside]:.2f}" if (beside := f"times as fast as {each.partition('x ')[2]}") in row else each
                 for each in filter(None, row["bar"].split(", "))]
    bar = re.sub(r"([\d.]+)x ", r"\1 × ", ", ".join(asked_for)).replace("%", " %")
    shape = f"{row['shape']}; {row['details']}".replace(" x ", " × ")
    return [row["kernel"], shape, f"{row['ours us']:,.1f}", f"{row[f'ours {rate}']:,.{0 if rate == 'TFLOP/s' else 2}f} {rate}",
            f"{row['ours of ceiling']:.0%}".replace("%", " %"), vllm, f"{row['ratio to vLLM']:.3f}" if "ratio to vLLM" in row else "", bar,
            {"met": "met", "missed": "**missed**"}.get(row["met"], "")]


def _update_readme(kind: Kind, records: list[dict]) -> None:
    text, (begin, end) = README.read_text(encoding="utf-8"), kind.markers
    if begin in text:
        README.write_text(with_table(text, kind, records), encoding="utf-8")
        print(f"updated: {README}")
    else:
        print(f"README.md has no place for the {kind.name}: put {begin} and {end} where the table shall be, and call this again", file=sys.stderr)


def with_table(text: str, kind: Kind, records: list[dict]) -> str:
    """A README with the tables between the markers."""
    begin, end = kind.markers
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{tables(records, kind)}\n{end}{after}"


KERNELS = Kind("kernels", "kernel", kernel_table)
ENGINES = Kind("engines", "engine row", engine_table.table)
TWO_GPUS = Kind("two-gpus", "two gpus row", two_gpus_table.table)
KINDS = (KERNELS, ENGINES, TWO_GPUS)

if __name__ == "__main__":
    raise SystemExit(main())
