"""`python -m reports.gpu_results reports/runs/bench-….json`: keep what a GPU was measured at, and show it in the README.

Of the file that `make bench` wrote on a GPU host, the rows about kernels go into `reports/results/`, to be committed:
what was measured, where and how, without the single rounds. It keeps pytest-benchmark's form, so that the page of the
benchmarks shows it among the earlier runs. The README's table, between its two markers, is made from the newest record of each kind of GPU.
"""
import argparse
import json
import re
import sys
from pathlib import Path

from reports.benchmark_runs import NotABenchmarkFile, read_session

HERE = Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
BEGIN, END = "<!-- kernels:begin -->", "<!-- kernels:end -->"
MACHINE = ("system", "release", "machine", "python_version", "torch", "triton", "vllm")


class NoKernels(ValueError):
    """In this file, nothing was measured on a GPU."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.gpu_results", description="Keep the kernels' results, and update the README's table.")
    parser.add_argument("file", nargs="?", type=Path, help="what `make bench` wrote; without it, the README is made anew from what is kept")
    parser.add_argument("--commit", help="the commit that was measured, where the GPU host had no git to ask")
    asked = parser.parse_args(argv)
    try:
        if asked.file:
            RESULTS.mkdir(exist_ok=True)
            kept = record(asked.file, asked.commit)
            path = RESULTS / name_of(kept)
            path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"kept: {path}")
        newest = newest_records()
        if not newest:
            raise NoKernels(f"{RESULTS} is empty: name a file that `make bench` wrote on a GPU host")
    except (OSError, NotABenchmarkFile, NoKernels) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(tables(newest))
    text = README.read_text(encoding="utf-8")
    if BEGIN in text:
        README.write_text(with_table(text, newest), encoding="utf-8")
        print(f"updated: {README}")
    else:
        print(f"README.md has no place for it: put {BEGIN} and {END} where the table shall be, and call this again", file=sys.stderr)
    return 0


def record(path: Path, commit: str | None = None) -> dict:
    """What is kept of a file. Raises `OSError`, `NotABenchmarkFile`, or `NoKernels`."""
    session = read_session(path)
    rows = [each for each in session.benchmarks if each.get("extra_info", {}).get("gpu") and each["extra_info"].get("kernel")]
    if not rows:
        raise NoKernels(f"{path.name} has no kernel that was measured on a GPU: run `make bench` on a host that has one")
    commit = commit or rows[0]["extra_info"].get("commit") or session.commit
    cpu = session.machine.get("cpu") or {}
    return {"datetime": session.when, "commit_info": {"id": commit.removesuffix("-dirty"), "dirty": commit.endswith("-dirty")},
            "machine_info": {name: session.machine[name] for name in MACHINE if name in session.machine}
            | {"gpu": rows[0]["extra_info"]["gpu"], "cpu": {name: cpu[name] for name in ("brand_raw", "count") if name in cpu}},
            "benchmarks": [{"name": each["name"], "fullname": each.get("fullname", each["name"]), "params": each.get("params"),
                            "extra_info": _rounded(each["extra_info"]) | {"commit": commit},
                            "stats": {name: _rounded(each.get("stats", {}))[name] for name in ("median", "rounds") if name in each.get("stats", {})}}
                           for each in rows]}


def _rounded(figures: dict) -> dict:
    """Five digits: more are noise."""
    return {name: float(f"{value:.5g}") if isinstance(value, float) else _rounded(value) if isinstance(value, dict) else value
            for name, value in figures.items()}


def name_of(kept: dict) -> str:
    gpu = re.sub(r"[^a-z0-9]+", "-", kept["benchmarks"][0]["extra_info"]["gpu"].lower()).strip("-")
    return f"{gpu}-{kept['datetime'][:10]}.json"


def newest_records() -> list[dict]:
    """Of each kind of GPU, by its name."""
    records = sorted((json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")), key=lambda each: each["datetime"])
    by_gpu = {each["benchmarks"][0]["extra_info"]["gpu"]: each for each in records}
    return [by_gpu[name] for name in sorted(by_gpu, reverse=True)]


def tables(records: list[dict]) -> str:
    return "\n\n".join(map(table, records))


def table(kept: dict) -> str:
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


def with_table(text: str, records: list[dict]) -> str:
    """A README with the tables between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables(records)}\n{END}{after}"


if __name__ == "__main__":
    raise SystemExit(main())
