"""`python -m spec.drift [VERSION …]`: ask releases of vLLM about every claim on the scheduler and the KV cache.

Without a version: all of `releases.RELEASES`. Each is installed apart, once, and asked in a process of its own, one
after the other; what they say goes into `reports/drift.json`, from which the page and the README's table are made.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from reports import drift as report
from reports.drift_table import changed
from spec.drift.ask import FAILS, HOLDS, scheduler_claims
from spec.drift.changes import Sides, change
from spec.drift.record import PATH, flipped, neighbours, of_today, read, with_changes, with_release, write
from spec.drift.releases import RELEASES, ROOT, NotInstalled, built, cache, install, order

UNMOVED = 12    # of the claims whose answer never changed, each twelfth is walked through as well: what it passes explains little


class NoAnswer(Exception):
    """A release could not be asked: its process failed. The message is the end of what it said."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.drift", description=__doc__.partition("\n\n")[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"such as 0.31.0; {', '.join(RELEASES)} if none is given")
    parser.add_argument("--cache", type=Path, default=cache(), help="where releases are kept, 400 MB each (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="ask nobody: only make the page anew")
    asked = parser.parse_args(argv)
    try:
        versions = sorted(asked.versions or RELEASES, key=order)
    except ValueError as error:
        parser.error(str(error))
    claims = {claim.name: claim for claim in scheduler_claims()}
    record = of_today(read(), list(claims.values()))
    if not asked.page:
        asked.cache.mkdir(parents=True, exist_ok=True)
        for version in versions:
            record = ask_release(record, version, asked.cache)
            write(record)
        record = explain(record, versions, asked.cache, claims)
    write(record)
    print(f"written: {os.path.relpath(PATH)}")
    report.write(record)
    return 1 if any("error" in each for each in record["releases"] if each["version"] in versions) else 0


def ask_release(record: dict, version: str, folder: Path) -> dict:
    """The record with this release's answers, or with why there are none."""
    began = time.monotonic()
    print(f"{version}: ", end="", flush=True)
    release = {"version": version, "asked": datetime.date.today().isoformat()}
    try:
        if not (folder / version).is_dir():
            print("installing, ", end="", flush=True)
        target = install(version, folder)
        print("asking, ", end="", flush=True)
        told = in_release(target, "spec.drift.ask")
        if (told["version"], Path(told["folder"])) != (version, target / "vllm"):
            raise NoAnswer(f"it was vLLM {told['version']} in {told['folder']} that answered")
    except (NotInstalled, NoAnswer) as error:
        print(f"no answer: {error}")
        return with_release(record, release | {"error": str(error)}, {})
    record = with_release(record, release | {"built": built(target)}, told["answers"])
    print(f"{_counts(told['answers'])} ({time.monotonic() - began:.0f} s)")
    for line in _still(record, version):
        print(f"    {line}")
    return record


def explain(record: dict, versions: list[str], folder: Path, claims: dict) -> dict:
    """The record with the source behind what changed between these releases and their neighbours."""
    pairs = {pair: flipped(record, *pair) for pair in neighbours(record) if set(pair) & set(versions)}
    unmoved = [row["name"] for row in record["claims"] if row["answers"] and not changed(row)][::UNMOVED]
    walks = {}
    for version in sorted({version for pair, names in pairs.items() if names for version in pair}, key=order):
        print(f"{version}: reading its source where it matters", flush=True)
        try:
            names = {name for pair, names in pairs.items() if version in pair for name in names}
            walks[version] = in_release(install(version, folder), "spec.drift.walk", *sorted(names), *unmoved)
        except (NotInstalled, NoAnswer) as error:
            print(f"    no source: {error}")
    for (old, new), names in pairs.items():
        if not names or {old, new} <= walks.keys():
            sides = names and Sides(folder / old / "vllm", folder / new / "vllm", walks[old], walks[new])
            record = with_changes(record, old, new, {name: change(claims[name], sides, unmoved) for name in names})
    return record


def in_release(target: Path, module: str, *arguments: str):
    """What a module of ours writes down in a process whose vLLM is the one in `target`. Raises `NoAnswer`."""
    environment = os.environ | {"PYTHONPATH": f"{target}{os.pathsep}{ROOT}", "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)    # vLLM's import takes four times as long without bytecode
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.json"
        done = subprocess.run([sys.executable, "-m", module, str(out), *arguments], cwd=ROOT, env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise NoAnswer((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
        return json.loads(out.read_text())


def _counts(answers: dict[str, list[str]]) -> str:
    found = Counter(told[0] for told in answers.values())
    return f"of {len(answers)} sentences " + ", ".join(f"{number} {verdict}" for verdict, number in found.most_common())


def _still(record: dict, version: str) -> list[str]:
    """What became of each claim that the release before this one answers otherwise."""
    before = next((old for old, new in neighbours(record) if new == version), None)
    if not before:
        return []
    rows = {row["name"]: row for row in record["claims"]}
    words = {HOLDS: "true now", FAILS: "false now"}
    return [f"{words.get((told := rows[name]['answers'][version])[0], told[0])}, {rows[name]['answers'][before][0]} in {before}: "
            f"{rows[name]['sentence']} ({name})" for name in flipped(record, before, version)] or [f"nothing changed since {before}"]


if __name__ == "__main__":
    raise SystemExit(main())
