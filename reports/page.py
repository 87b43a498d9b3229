"""The page of a run: one HTML file that needs no network and no server, made from the run file alone.

Everything a run says travels as packed data and becomes text in the browser (`page/dom.js`).
"""
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from reports import bundle, tally
from reports.claim_data import claims_data, log_of, short_ids
from reports.compare import compare, previous
from reports.live_page import live_page
from reports.markup import text
from reports.packed import Pieces, packed
from reports.run_file import Run

HERE = Path(__file__).parent
FRAME, STYLE, ENTRY = HERE / "page.html", HERE / "page" / "page.css", HERE / "page" / "main.js"


class NoSuchClaim(ValueError):
    """A page of one claim was wanted, and the run has no such claim."""


def write_page(run: Run, path: Path, only: str | None = None) -> None:
    whole = live_page(run) if (run.header.get("lab") or {}).get("live") else page(run, previous(run), only)
    path.write_text(whole, encoding="utf-8", errors="replace")


def page(run: Run, before: Run | None = None, only: str | None = None) -> str:
    """The whole page. `before`: an earlier run to compare with; `only`: the node id of the one claim to show."""
    if only:
        run, before = _alone(run, only), None
    pieces = Pieces()
    fill = {"title": text(verdict(run)), "run_file": text(run.path.name)}
    frame = len(bundle.html(FRAME, [STYLE], ENTRY, pieces="", **fill))
    told = {
        "verdict": verdict(run), "warning": _warning(run), "facts": _facts(run), "remedy": tally.remedy(run.claims),
        "kinds": [kind._asdict() for kind in tally.KINDS], "counts": [(kind.key, number) for kind, number in tally.count(run.claims)],
        "since": _since(before, run), "sequences": tally.sequences(run.claims), "claims": claims_data(run, pieces, frame), "tests": _tests(run.tests),
        "concepts": run.concepts}
    pieces.add(packed(told), "run")
    return bundle.html(FRAME, [STYLE], ENTRY, pieces=pieces.html(), **fill)


def verdict(run: Run) -> str:
    """The one sentence on top."""
    untested = sum(tally.kind_of(claim).side == tally.OPEN for claim in run.claims)
    failed = sum(tally.failed(claim) and tally.kind_of(claim).side != tally.OPEN for claim in run.claims)
    broken = sum(map(tally.failed, run.tests))
    claims = _number(len(run.claims), "claim")
    if not run.claims:
        said = "No claim ran"
    elif failed:
        said = f"{failed} of {claims} did not hold" + (f", {untested} could not be tested" if untested else "")
    elif untested:
        said = f"{untested} of {claims} could not be tested"
    else:
        said = "The claim holds" if len(run.claims) == 1 else f"All {claims} hold"
    said += f"; {_number(broken, 'other test')} failed" if broken else ""
    return said + ("." if run.complete else " so far.")


def _alone(run: Run, nodeid: str) -> Run:
    """The same run, as if it had had this one claim."""
    events = [event for event in run.events if event["type"] in ("source", "concepts") or event["type"] == "claim" and event["nodeid"] == nodeid]
    if not any(event["type"] == "claim" for event in events):
        raise NoSuchClaim(f"{run.path.name} has no claim {nodeid}: copy the name from its page, under Test")
    return replace(run, events=events)


def _warning(run: Run) -> str:
    """A word about a run that did not end as runs do."""
    if not run.complete:
        return "This run has not come to its end. What follows is what it had found so far."
    if run.footer.get("exit_status") not in (0, 1):
        return f"This run was interrupted (pytest ended with status {run.footer.get('exit_status')})."
    return ""


def _facts(run: Run) -> list[tuple[str, str]]:
    lab, machine = run.header.get("lab") or {}, run.header.get("machine") or {}
    reference = lab.get("reference") or {}
    asked = " ".join(str(part) for part in (reference.get("mode"), reference.get("date")) if part)
    folder = run.header.get("folder", ".")
    facts = {
        "Reference": " · ".join(filter(None, [f'vLLM {reference["version"]}' if reference.get("version") else "", asked])),
        "Engine": lab.get("impl"),
        "Command": " ".join(map(str, run.header.get("command", []))) + (f"  (in {folder})" if folder != "." else ""),
        "Started": _started(run),
        "Machine": " · ".join(filter(None, [machine.get("platform"), machine.get("architecture"),
                                            _number(machine["cpus"], "CPU") if machine.get("cpus") else ""])),
        "Python": run.header.get("python"),
    }
    return [(name, value) for name, value in facts.items() if value]


def _started(run: Run) -> str:
    try:
        started = datetime.fromisoformat(run.header["started"])
        took = (datetime.fromisoformat(run.footer["ended"]) - started).total_seconds() if run.footer else None
    except (KeyError, ValueError):
        return ""
    return f"{started:%Y-%m-%d %H:%M:%S}" + ("" if took is None else f" · took {took:,.0f} s")


def _since(before: Run | None, run: Run) -> dict | None:
    """What has changed since an earlier run, in lists to unfold."""
    if before is None:
        return None
    change, here = compare(before, run), short_ids([claim["nodeid"] for claim in run.claims])
    groups = {"No longer hold": change.broken, "Hold again": change.mended, "Have another verdict": change.other,
              "New": change.new, "Gone": change.gone}
    return {"sentence": change.sentence, "groups": [
        {"title": f"{title} ({len(entries)})", "claims": [{"id": here.get(nodeid), "sentence": sentence, "was": was, "is": now}
                                                          for nodeid, sentence, was, now in entries]} for title, entries in groups.items()]}


def _tests(tests: list[dict]) -> dict:
    """Ordinary tests: their number, and those that failed."""
    return {"counts": Counter(test["outcome"] for test in tests).most_common(),
            "failed": [{"nodeid": test["nodeid"], "longrepr": log_of(test)} for test in tests if tally.failed(test)]}


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
