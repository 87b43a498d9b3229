"""The record of an experiment: one file of plain data, which `python -m reports.experiments` shows.

    {"format": 1, "experiment": "preemption_storm", "device": "", "question": "…", "started": …, "seconds": …, "machine": {…}, "versions": {…},
     "tables": [{"title": "…", "columns": ["pool", …], "rows": [[64, …], …]}],
     "plots": [{"title": "…", "x": "pool [blocks]", "y": "recomputed tokens", "values": [64, …],
                "series": [{"label": "no cache", "engine": "impl", "values": [0, …]}]}],
     "bars": [{"title": "…", "unit": "ms", "parts": ["attention", …], "rows": [["impl", [4.1, …]], …]}]}

Tables hold what was measured, plots and stacked bars show some of it again.
"""
import argparse
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from time import perf_counter

from kernels import has_gpu
from reference.doctor import first_line
from reference.vllm_scheduler import installed_version

FORMAT = 1
RUNS = Path(__file__).parents[2] / "reports" / "runs"
ENGINES = ("impl", "vllm")


@dataclass
class Record:
    """What one run of an experiment has found so far."""

    experiment: str
    question: str
    device: str = ""        # "cpu", "cuda" or a GPU's name, where an experiment has a record of each
    tables: list[dict] = field(default_factory=list)
    plots: list[dict] = field(default_factory=list)
    stacks: list[dict] = field(default_factory=list)
    failed: list[list] = field(default_factory=list)        # parts that came to nothing, each with its error
    began: float = field(default_factory=perf_counter)
    started: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))

    def table(self, title: str, columns: list[str], rows: list[list]) -> None:
        """Add a table, and print it. A cell is text, a number or None."""
        self.tables.append({"title": title, "columns": columns, "rows": rows})
        print(f"\n{title}\n{aligned([columns, *rows])}", flush=True)

    def plot(self, title: str, x: str, y: str, values: list, series: list[dict], log: bool = False) -> None:
        """Add a plot. `series`: label, engine ("impl" or "vllm") and one value per x, None where there is none. `log`: of the x axis."""
        short = [each["label"] for each in series if len(each["values"]) != len(values)]
        if short:
            raise ValueError(f"plot {title!r}: {short} must have a value for each of the {len(values)} places on the x axis")
        self.plots.append({"title": title, "x": x, "y": y, "values": values, "series": series, "log": log})

    def bars(self, title: str, unit: str, parts: list[str], rows: list[list]) -> None:
        """Add stacked bars: a row is a label and one value per part."""
        wrong = [label for label, values in rows if len(values) != len(parts)]
        if wrong:
            raise ValueError(f"bars {title!r}: {wrong} must have a value for each of the {len(parts)} parts")
        self.stacks.append({"title": title, "unit": unit, "parts": parts, "rows": rows})

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part that may fail without taking the others along: its error goes into the record. For machines one is not at twice."""
        progress(name)
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.failed.append([name, f"{type(error).__name__}: {error}"])

    def write(self, folder: Path) -> Path:
        """Write it as `folder/experiment-NAME.json` or `-NAME-DEVICE.json`, over an earlier one."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"experiment-{self.experiment}{self.device and f'-{self.device}'}.json"
        told = {"format": FORMAT, "experiment": self.experiment, "device": self.device, "question": self.question, "started": self.started,
                "seconds": round(perf_counter() - self.began, 1), "machine": machine(), "versions": versions(),
                "tables": self.tables + self._failures(), "plots": self.plots} | ({"bars": self.stacks} if self.stacks else {})
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="ascii")
        print(f"\nrecord: {os.path.relpath(path)}   (python -m reports.experiments makes the page)")
        return path

    def _failures(self) -> list[dict]:
        return [{"title": "What failed", "columns": ["part", "error"], "rows": self.failed}] if self.failed else []


def arguments(name: str, description: str) -> argparse.ArgumentParser:
    """What every experiment can be told."""
    parser = argparse.ArgumentParser(prog=f"python -m reference.experiments.{name}", description=description)
    parser.add_argument("--out", type=Path, default=RUNS, metavar="FOLDER", help="where the record goes; reports/runs if not given")
    return parser


def engines_here() -> list[str]:
    """`impl`, and vLLM where it is installed; says so where it is not."""
    if installed_version():
        return list(ENGINES)
    print("vLLM is not installed here: only impl is asked. 'make setup' installs it.")
    return ["impl"]


def progress(doing: str) -> None:
    """What is being done now, on one line of a terminal that the next overwrites."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{doing} ...", end="\r", file=sys.stderr, flush=True)


def aligned(rows: list[list]) -> str:
    """Rows of cells as text, columns under each other."""
    shown = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown)]
    return "\n".join("  ".join(cell.rjust(width) if index else cell.ljust(width) for index, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in shown)


def machine() -> dict:
    found = {"platform": platform.system(), "architecture": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
    return found | ({"gpu": gpu()} if has_gpu() else {})


def gpu() -> str:
    """The name of the first. The driver's tool is asked: in a process that has asked CUDA, vLLM could not start its own."""
    return first_line("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "unknown"


def versions() -> dict:
    """Of what is installed, found without importing it."""
    found = {"vllm": installed_version()}
    try:
        found["torch"] = metadata.version("torch")
    except metadata.PackageNotFoundError:
        found["torch"] = None
    return found


def _shown(cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e4 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
