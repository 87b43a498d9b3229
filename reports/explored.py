"""What somebody has explored: every claim that was ever run here, with its last verdict, and the days on which it was.

Read from the run files, of which there may be hundreds of megabytes: of a claim's line only what stands before its
timelines is parsed. Which claims there are is read from the source of `spec/`, without importing it.
"""
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from reports import tally
from reports.run_file import FORMAT

MEGABYTE = 1 << 20
CLAIM = re.compile(rb'{"type": "claim", "nodeid": ("[^"\\]*(?:\\.[^"\\]*)*")')
TIMELINES = b', "runs": '      # no text can contain this: JSON puts a backslash before its quotes


@dataclass
class Explored:
    verdicts: dict[str, dict] = field(default_factory=dict)         # by claim: what its last run said
    days: dict[date, set[str]] = field(default_factory=dict)        # by day with runs: the claims that were run
    unreadable: list[str] = field(default_factory=list)             # files that say nothing


def existing(spec: Path) -> dict[str, str]:
    """Every claim in the source, and its theme: a function of a test file under a `@claim(…)`."""
    found = {}
    for path in sorted(spec.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        if "@claim(" not in source:
            continue
        try:
            tree = ast.parse(source)
        except SyntaxError:     # somebody is writing it
            continue
        theme = f"{path.parent.name}/{path.stem.removeprefix('test_')}"
        found |= {f"{path.relative_to(spec.parent).as_posix()}::{node.name}": theme
                  for node in tree.body if isinstance(node, ast.FunctionDef) and any(map(_is_claim, node.decorator_list))}
    return found


def explored(runs: Path) -> Explored:
    """What all run files say together."""
    result = Explored()
    for started, path in sorted(_started(runs, result.unreadable), reverse=True):   # the newest first: the last verdict counts
        ran = result.days.setdefault(started.date(), set())
        asked: dict[str, list[dict]] = {}
        for nodeid, head in heads_of(path):
            name = name_of(nodeid)
            ran.add(name)
            if name not in result.verdicts and (claim := _parsed(head)):
                asked.setdefault(name, []).append(claim)
        result.verdicts |= {name: _worst(claims) for name, claims in asked.items()}
    return result


def heads_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """The id of each claim of a run file, and what its line says, but for its timelines and what stands behind them."""
    with path.open("rb", buffering=MEGABYTE) as file:   # lines of megabytes, read in small pieces, take ten times as long
        for line in file:
            if found := CLAIM.match(line):
                end = line.find(TIMELINES)
                if nodeid := _parsed(found[1]):
                    yield nodeid, line if end < 0 else line[:end] + b"}"


def name_of(nodeid: str) -> str:
    """The test without its model: one sentence is one claim, however many models it is asked of."""
    return nodeid.partition("[")[0] if nodeid.endswith("]") else nodeid


def _parsed(part: bytes):
    """What a line or a part of it says; None if it is damaged."""
    try:
        return json.loads(part)
    except ValueError:
        return None


def _started(runs: Path, unreadable: list[str]) -> Iterator[tuple[datetime, Path]]:
    """When each run began: runs are told in that order."""
    for path in runs.glob("*.jsonl"):
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline())
            if header["type"] != "header" or header["format"] != FORMAT:
                raise ValueError("no header of a format that is known here")
            yield datetime.fromisoformat(header["started"]).replace(tzinfo=None), path
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path.name)


def _worst(claims: list[dict]) -> dict:
    """Of what one run says of a claim to several models: what needs a look."""
    order = (tally.PASS, tally.OPEN, tally.FAIL)
    return max(claims, key=lambda claim: order.index(tally.kind_of(claim).side))


def _is_claim(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "claim"
