"""The page of a run: one HTML file that needs no network and no server, made from the run file alone."""
import base64
import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from string import Template

from reports import tally
from reports.claim_html import claim_html, log, mark
from reports.markup import text
from reports.run_file import Run

HERE = Path(__file__).parent


def write_page(run: Run, path: Path) -> None:
    path.write_text(page(run), encoding="utf-8", errors="replace")


def page(run: Run) -> str:
    """The whole page. Every text of the run passes through `markup.text` on its way."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    verdict = _verdict(run)
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style, script=script, title=text(verdict), verdict=text(verdict), state=_state(run), facts=_facts(run),
        strip=_strip(run.claims), notice=_notice(run.claims), failures=_failures(run.claims),
        themes=_themes(run.claims), tests=_tests(run.tests), run_file=text(run.path.name))


def _verdict(run: Run) -> str:
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


def _state(run: Run) -> str:
    """A word of warning about a run that did not end as runs do."""
    if not run.complete:
        return '<p class="warning">This run has not come to its end. What follows is what it had found so far.</p>'
    if run.footer.get("exit_status") not in (0, 1):
        return f'<p class="warning">This run was interrupted (pytest ended with status {text(run.footer.get("exit_status"))}).</p>'
    return ""


def _facts(run: Run) -> str:
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
    return "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in facts.items() if value)


def _started(run: Run) -> str:
    try:
        started = datetime.fromisoformat(run.header["started"])
        took = (datetime.fromisoformat(run.footer["ended"]) - started).total_seconds() if run.footer else None
    except (KeyError, ValueError):
        return ""
    return f"{started:%Y-%m-%d %H:%M:%S}" + ("" if took is None else f" · took {took:,.0f} s")


def _strip(claims: list[dict]) -> str:
    """The counts, which are the filter as well."""
    if not claims:
        return ""
    counts = tally.count(claims)
    bar = "".join(f'<i class="{kind.key}" style="flex-grow:{number}"></i>' for kind, number in counts if number)
    chips = "".join(
        f'<label class="chip {kind.key}{"" if number else " none"}" title="{text(kind.meaning)}">'
        f'<input type="checkbox" value="{kind.key}" {"checked" if number else "disabled"}>{mark(kind)}'
        f"<b>{number}</b> <span>{text(kind.name if number == 1 else kind.many)}</span></label>" for kind, number in counts)
    return (f'<div class="bar" aria-hidden="true">{bar}</div>'
            f'<form class="filter" role="search"><fieldset><legend>Show claims with the verdict</legend>{chips}</fieldset>'
            '<label class="find"><span>Find</span><input type="search" placeholder="a word, a theme, a file of vLLM" '
            'autocomplete="off"><kbd>/</kbd></label><output class="shown" aria-live="polite"></output></form>')


def _notice(claims: list[dict]) -> str:
    remedy = tally.remedy(claims)
    return f'<p class="warning"><b>To test what is untested:</b> {text(remedy)}</p>' if remedy else ""


def _failures(claims: list[dict]) -> str:
    failed = [claim for claim in claims if tally.failed(claim)]
    if not failed:
        return ""
    return f'<section class="failures"><h2>Needs a look <small>{len(failed)}</small></h2>{_list(failed)}</section>'


def _themes(claims: list[dict]) -> str:
    """Each theme with those of its claims that are not shown above."""
    themes: dict[str, list[dict]] = {}
    for claim in claims:
        themes.setdefault(str(claim.get("theme") or "claims"), []).append(claim)
    return "".join(_theme(name, themes[name]) for name in sorted(themes))


def _theme(name: str, claims: list[dict]) -> str:
    rest = [claim for claim in claims if not tally.failed(claim)]
    above = len(claims) - len(rest)
    more = f", {above} of them above" if above else ""
    if not rest:
        return ""
    title = "<i>/</i>".join(map(text, name.split("/")))
    return f'<section class="theme"><h2>{title} <small>{_number(len(claims), "claim")}{more}</small></h2>{_list(rest)}</section>'


def _list(claims: list[dict]) -> str:
    return '<div class="claims">' + "".join(map(claim_html, claims)) + "</div>"


def _tests(tests: list[dict]) -> str:
    """Ordinary tests: their number, and those that failed."""
    if not tests:
        return ""
    outcomes = Counter(test["outcome"] for test in tests)
    line = ", ".join(f"{number} {text(outcome)}" for outcome, number in outcomes.most_common())
    failed = "".join(f'<details class="test" open><summary>{text(test["nodeid"])}</summary>{log(test.get("longrepr", ""))}</details>'
                     for test in tests if tally.failed(test))
    return f'<section class="tests"><h2>Other tests <small>{line}</small></h2>{failed}</section>'


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
