"""The run file: one run of the suite as JSON lines, only ever appended to.

    {"type": "header", "format": 1, "started": …, "command": […], "folder": ".", "machine": {…}, "python": …, "lab": {…}}
    {"type": "concepts", "themes": [{"theme": "memory", "concepts": [{"name": "block pool", "ours": …, "vllm": …, …}, …]}, …]}
    {"type": "source", "of": "v1/core/sched/scheduler.py::Scheduler.schedule", "path": …, "line": …, "text": …}
    {"type": "claim", "nodeid": …, "outcome": …, "duration": …, "sentence": …, "verdict": …, "runs": […], …}
    {"type": "test", "nodeid": …, "outcome": …, "duration": …}
    {"type": "footer", "ended": …, "exit_status": 0, "verdicts": {…}, "tests": {…}}

Each line is handed to the system before the next test begins. A run that was killed has no footer and perhaps half a
line at its end; everything before is readable.
"""
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

FORMAT = 1


class UnknownFormat(ValueError):
    """The file was written by a later InferLab."""


class RunFile:
    """Writes one run into a new file of `runs`. Raises `OSError` if it cannot.

    `command` was typed in `folder`, seen from the top. `lab` says what the run is about.
    """

    def __init__(self, runs: Path, command: Sequence[str], lab: dict, folder: str = "."):
        runs.mkdir(parents=True, exist_ok=True)
        started = datetime.now().astimezone()
        self.path, self._file = _create(runs, f"{started:%Y%m%d-%H%M%S}-{os.getpid()}")
        self.append({"type": "header", "format": FORMAT, "started": started.isoformat(timespec="seconds"),
                     "command": list(command), "folder": folder, "machine": _machine(),
                     "python": platform.python_version(), "lab": lab})

    def append(self, event: dict) -> None:
        # ASCII only: no character of a test's name can end a line, or be cut in two.
        self._file.write(json.dumps(event, default=str) + "\n")
        self._file.flush()

    def close(self, exit_status: int, verdicts: dict[str, int], tests: dict[str, int]) -> None:
        """Write the footer. Nothing can follow."""
        self.append({"type": "footer", "ended": datetime.now().astimezone().isoformat(timespec="seconds"),
                     "exit_status": int(exit_status), "verdicts": verdicts, "tests": tests})
        self._file.close()


@dataclass
class Run:
    """What a run file says. `damaged` counts lines that could not be read."""

    path: Path
    header: dict = field(default_factory=dict)
    events: list[dict] = field(default_factory=list)
    footer: dict | None = None
    damaged: int = 0

    @property
    def complete(self) -> bool:
        """Whether the run came to its end. If not, it was killed, or it is still going on."""
        return self.footer is not None

    @property
    def claims(self) -> list[dict]:
        return [event for event in self.events if event["type"] == "claim"]

    @property
    def sources(self) -> dict[str, dict]:
        """Where vLLM decides what the claims are about, by the name the claims give it."""
        return {event["of"]: event for event in self.events if event["type"] == "source"}

    @property
    def concepts(self) -> list[dict]:
        """The concept map as it was then, by theme; the claims name its concepts."""
        return next((event["themes"] for event in self.events if event["type"] == "concepts"), [])

    @property
    def tests(self) -> list[dict]:
        """Everything that is no claim."""
        return [event for event in self.events if event["type"] == "test"]


def read(path: Path) -> Run:
    """The run as far as it was written down."""
    run = Run(path)
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
            kind = record["type"]
        except (ValueError, TypeError, KeyError):
            run.damaged += 1
            continue
        if kind == "header":
            if record.get("format") != FORMAT:
                raise UnknownFormat(f"{path.name} has format {record.get('format')}; this InferLab reads {FORMAT}")
            run.header = record
        elif kind == "footer":
            run.footer = record
        else:
            run.events.append(record)
    return run


def newest(folder: Path) -> Path | None:
    """The run file of the run that started last."""
    return max(folder.glob("*.jsonl"), key=lambda path: (path.stem[:15], path.stat().st_mtime_ns), default=None)


def _create(folder: Path, stem: str):
    """A file that was not there before, even if this process began another run within the same second."""
    path, number = folder / f"{stem}.jsonl", 1
    while True:
        try:
            return path, path.open("x", encoding="ascii")
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}.jsonl"


def _machine() -> dict:
    return {"platform": platform.system(), "architecture": platform.machine(), "cpus": os.cpu_count()}
