"""One claim in HTML: a line that opens, and what was found."""
from reports import tally
from reports.markup import code, link, marked, text

LONGEST_LOG = 20_000    # characters of pytest's own account of a failure


def claim_html(claim: dict) -> str:
    """A failed claim is open; any other is a line, until somebody asks."""
    kind = tally.kind_of(claim)
    about = claim.get("about") or []
    find = " ".join([claim["nodeid"], str(claim.get("theme")), kind.name, *([about] if isinstance(about, str) else map(str, about))])
    return f"""
<details class="claim {kind.side}" data-kind="{kind.key}" data-find="{text(find.lower())}"{' open' if tally.failed(claim) else ''}>
<summary>{mark(kind)}<span class="word {kind.key}">{text(kind.name)}</span>
<span class="sentence" dir="auto">{text(claim.get("sentence") or claim["nodeid"])}</span>
<span class="where">{text(claim.get("vllm") or "")}</span></summary>
<div class="body">{_body(claim, kind)}</div>
</details>"""


def mark(kind: tally.Kind) -> str:
    """The sign of a verdict. The word stands beside it."""
    return f'<span class="mark {kind.key} {kind.side}" aria-hidden="true">{kind.mark}</span>'


def log(longrepr: str) -> str:
    """pytest's own account of a failure; of a long one, the end, where the error stands."""
    cut = longrepr if len(longrepr) <= LONGEST_LOG else "…\n" + longrepr[-LONGEST_LOG:]
    return f'<pre class="log" tabindex="0">{text(cut)}</pre>'


def _body(claim: dict, kind: tally.Kind) -> str:
    finding = claim.get("finding") or {}
    parts = [f'<p class="meaning">{text(kind.meaning[0].upper() + kind.meaning[1:])}.</p>' if kind.side != tally.PASS or finding else "",
             _known(claim.get("known_divergence")), _finding(finding, claim)]
    if claim.get("longrepr") and (not finding or kind.key == "error" or claim["outcome"] == "error"):
        parts.append(log(claim["longrepr"]))
    if finding.get("shrunk"):
        parts.append(code("The smallest workload that shows it", finding["shrunk"]))
    elif claim.get("workload"):
        parts.append(code("The workload", claim["workload"]))
    if finding.get("next"):
        parts.append(code("Next, type", finding["next"], "next"))
    parts.append(_facts(claim, finding))
    return "".join(parts)


def _known(known: dict | None) -> str:
    if not known:
        return ""
    label = link(known.get("link"), known.get("link") or "")
    return f'<p class="known"><b>Registered:</b> {text(known.get("reason", ""))} {label}</p>'


def _finding(finding: dict, claim: dict) -> str:
    parts = []
    if finding.get("headline"):
        parts.append(f'<p class="headline" dir="auto">{text(finding["headline"])}</p>')
    if finding.get("detail"):
        parts.append(log(str(finding["detail"])))
    if finding.get("remedy"):
        parts.append(f'<p class="remedy"><b>What to do:</b> {text(finding["remedy"])}</p>')
    if finding.get("ours") or finding.get("theirs"):
        parts.append(_difference(finding, claim))
    if finding.get("rows"):
        parts.append(_steps(finding["rows"], claim))
    if finding.get("ours_reasons"):
        reasons = "".join(f"<li>{text(reason)}</li>" for reason in finding["ours_reasons"])
        parts.append(f'<div class="reasons"><h4>Why {text(_ours(claim))} did so</h4><ul>{reasons}</ul></div>')
    return "".join(parts)


def _difference(finding: dict, claim: dict) -> str:
    where = "" if finding.get("step") is None else f'step {finding["step"]}'
    title = " · ".join(filter(None, [where, str(finding.get("what") or "")]))
    ours, theirs = marked(str(finding.get("ours") or ""), str(finding.get("theirs") or ""))
    return (f'<div class="difference"><h4>The first difference{": " + text(title) if title else ""}</h4><dl>'
            f"<div><dt>{text(_ours(claim))}</dt><dd>{ours}</dd></div>"
            f"<div><dt>{text(_theirs(claim))}</dt><dd>{theirs}</dd></div></dl></div>")


def _steps(rows: list[dict], claim: dict) -> str:
    """Both engines side by side; vLLM alone where it is a counter-example."""
    ours, theirs = text(_ours(claim)), text(_theirs(claim))
    if not any(row.get("ours") for row in rows):
        return (f'<table class="steps"><thead><tr><th scope="col">step</th><th scope="col">{theirs}</th></tr></thead><tbody>'
                + "".join(_counter_step(row, theirs) for row in rows) + "</tbody></table>")
    return ('<table class="steps"><thead><tr><th scope="col">step</th>'
            f'<th scope="col">{ours}</th><th scope="col">{theirs}</th></tr></thead><tbody>'
            + "".join(_step(row, ours, theirs) for row in rows) + "</tbody></table>")


def _step(row: dict, ours: str, theirs: str) -> str:
    left, right = ("\n".join(row.get(side) or ["—"]) for side in ("ours", "theirs"))
    left, right = marked(left, right) if row.get("differs") else (text(left), text(right))
    flag, label = (' class="differs"', '<span class="differ">≠ differs</span>') if row.get("differs") else ("", "")
    return (f'<tr{flag}><th scope="row"><span class="word-step">step </span>{text(row.get("step", ""))}{label}</th>'
            f'<td data-side="{ours}">{left}</td><td data-side="{theirs}">{right}</td></tr>')


def _counter_step(row: dict, theirs: str) -> str:
    flag, label = (' class="differs"', '<span class="differ">contradicts</span>') if row.get("differs") else ("", "")
    said = text("\n".join(row.get("theirs") or ["—"]))
    return (f'<tr{flag}><th scope="row"><span class="word-step">step </span>{text(row.get("step", ""))}{label}</th>'
            f'<td data-side="{theirs}">{said}</td></tr>')


def _facts(claim: dict, finding: dict) -> str:
    reference = claim.get("reference") or {}
    judged = f'{_theirs(claim)}, {reference.get("mode", "none")}' + (f', {reference["date"]}' if reference.get("date") else "")
    facts = [("In vLLM", finding.get("source") or claim.get("vllm")), ("Judged by", judged),
             ("Test", claim["nodeid"]), ("Took", f'{claim.get("duration", 0) * 1000:,.0f} ms')]
    return '<dl class="facts">' + "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>" for name, value in facts if value) + "</dl>"


def _ours(claim: dict) -> str:
    return str(claim.get("engine") or "ours")


def _theirs(claim: dict) -> str:
    return f'vLLM {(claim.get("reference") or {}).get("version") or ""}'.strip()
