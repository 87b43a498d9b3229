"""The log-book: one dated entry of `log/` for each moment in which something became clear.

    python -m reports.log_book new CLAIM    starts an entry from what the newest run says of a claim
    python -m reports.log_book page         renders all entries as one page

CLAIM is a test's id as pytest prints it, or a part of one. An entry is Markdown with a few facts on top, and yours to
finish; none is ever overwritten.
"""
import argparse
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reports import predictions, tally
from reports.explored import heads_of
from reports.markdown import render
from reports.markup import text
from reports.plain_page import framed
from reports.plain_text import fenced, for_markdown, for_terminal, unescaped

HERE = Path(__file__).parent
LOG, RUNS, PAGE = HERE / "log", HERE / "runs", HERE / "log_book.html"
SHOWN = 12      # claims among which one has to choose
BEGINNING = 5000    # bytes of an event's line: its id is among them
FACTS = ("date", "claim", "verdict", "predicted", "vllm")


class NoSuchClaim(LookupError):
    """No run says anything about it, or several claims are meant."""


@dataclass(frozen=True)
class Entry:
    path: Path
    facts: dict[str, str]
    body: str

    @property
    def date(self) -> str:
        return self.facts.get("date", self.path.name[:10])

    @property
    def title(self) -> str:
        """Its first heading."""
        heading = re.search(r"^# +(.+)$", self.body, re.MULTILINE)
        return unescaped(heading[1]) if heading else self.path.stem[11:]


def entries(folder: Path) -> list[Entry]:
    """All entries, the newest first."""
    found = [read(path) for path in folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-*.md")]
    return sorted(found, key=lambda entry: (entry.date, entry.path.name), reverse=True)


def read(path: Path) -> Entry:
    """An entry: what stands between two lines of `---` are its facts."""
    source = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    top = re.match(r"---\n(.*?)\n---\n(.*)", source, re.DOTALL)
    if not top:
        return Entry(path, {}, source)
    pairs = (line.partition(":") for line in top[1].split("\n"))
    return Entry(path, {name.strip(): value.strip() for name, _, value in pairs if value.strip()}, top[2])


def begin(named: str, runs: Path, log: Path, predicted: list[predictions.Prediction]) -> Path:
    """A new entry about a claim. Raises `NoSuchClaim`, or `FileExistsError` if there is one of today."""
    claim = find(named, runs)
    name = claim["nodeid"].rpartition("::")[2]
    slug = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower()).strip("-")[:80]
    path = log / f"{date.today()}-{slug or 'claim'}.md"
    log.mkdir(parents=True, exist_ok=True)
    before = [one for one in predicted if one.sentence == claim["sentence"]]
    with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(draft(claim, before[-1] if before else None))
    return path


def find(named: str, runs: Path) -> dict:
    """The whole event of a claim in the newest run that has it."""
    if not named:
        raise NoSuchClaim("say which claim: make log CLAIM=… with a test's id as pytest prints it, or a part of one")
    for path in sorted(runs.glob("*.jsonl"), key=lambda path: path.name[:15], reverse=True):
        ids = [nodeid for nodeid, _ in heads_of(path)]
        meant = [each for each in ids if each == named] or [each for each in ids if named in each]
        if len({each.partition("[")[0] for each in meant}) > 1:
            some = sorted(meant)[:SHOWN] + ["…"] * (len(meant) > SHOWN)
            raise NoSuchClaim(f"{len(meant)} claims are called so, say which:\n  " + "\n  ".join(map(for_terminal, some)))
        if meant and (claim := whole(path, meant[0])):
            return claim
    raise NoSuchClaim(f"no run here knows a claim called {named}; run it first: pytest -k NAME")


def whole(path: Path, nodeid: str) -> dict | None:
    """A claim's event with all that is in it, and the line of vLLM's source if the run has that; None if it is damaged."""
    claim, lines = None, {}
    wanted = json.dumps(nodeid).encode()
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b'{"type": "source"') or wanted in line[:BEGINNING]:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event["type"] == "source":
                    lines[event["of"]] = event["line"]
                elif event.get("nodeid") == nodeid:
                    claim = event
    return claim and claim | {"line": lines.get(claim.get("vllm"))}


def draft(claim: dict, predicted: predictions.Prediction | None) -> str:
    """What an entry begins with: what is known, and room for what is not."""
    reference, finding = claim.get("reference") or {}, claim.get("finding") or {}
    facts = {"date": date.today(), "claim": claim["nodeid"], "verdict": tally.kind_of(claim).name,
             "predicted": predicted or "nothing", "vllm": reference.get("version", "")}
    where = f"`{for_terminal(claim.get('vllm', '')).replace('`', '')}`" + (f", line {claim['line']}" if claim.get("line") else "")
    believed = f"Asked before vLLM was: {predicted}. Because …" if predicted else "…"
    parts = ["---", *(f"{name}: {' '.join(for_terminal(value).split())}" for name, value in facts.items()), "---", "",
             f"# {for_markdown(claim['sentence'])}", "", "## What I believed", "", believed, "",
             "## What happened", "", for_markdown(finding.get("headline") or tally.kind_of(claim).meaning), ""]
    if steps := _steps(finding, str(claim.get("engine"))):
        parts += [fenced(steps), ""]
    parts += ["## Where vLLM decides it", "", where, "",
              "## What I understand now", "", "…", "",
              "## The workload", "", fenced(finding.get("shrunk") or finding.get("workload") or claim.get("workload", ""), "python"), ""]
    return "\n".join(parts)


def page(log: Path) -> str:
    """All entries on one page."""
    found = entries(log)
    articles = "".join(_article(entry) for entry in found) or (
        "<p>Nothing yet. An entry is started from a claim that surprised you: <code>make log CLAIM=…</code></p>")
    many = f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"
    return framed("Log-book", '<a href="progress.html">Progress</a>', f'<p class="lead">{many}, the newest first.</p>{articles}')


def _article(entry: Entry) -> str:
    facts = "".join(f"<div><dt>{name}</dt><dd>{text(entry.facts[name])}</dd></div>" for name in FACTS if name in entry.facts)
    return f'<article id="{text(entry.path.stem)}"><dl class="facts">{facts}</dl>{render(entry.body)}</article>'


def _steps(finding: dict, engine: str) -> str:
    """The steps around the first difference, each side in its own words."""
    told = []
    for row in finding.get("rows") or ():
        mark = ">" if row.get("differs") else " "
        for side, lines in ((engine, row.get("ours")), ("vLLM", row.get("theirs"))):
            if lines:
                told.append(f"{mark} step {row.get('step')}, {side}")
                told += [f"    {line}" for line in lines]
    return "\n".join(told)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.log_book", description="The log of what became clear.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("new", help="start an entry from a claim").add_argument("claim", help="a test's id, or a part of it")
    commands.add_parser("page", help="render all entries as one page")
    named = parser.parse_args(argv)
    try:
        if named.command == "new":
            print(f"yours to finish: {os.path.relpath(begin(named.claim, RUNS, LOG, predictions.read(predictions.FILE)))}")
        PAGE.write_text(page(LOG), encoding="utf-8", errors="replace")
        print(f"log-book: {os.path.relpath(PAGE)}")
    except FileExistsError as error:
        print(f"There is an entry of today already: {os.path.relpath(error.filename)}", file=sys.stderr)
        return 1
    except NoSuchClaim as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
