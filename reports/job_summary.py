"""The verdicts in the summary of a GitHub job: theme by verdict, then the sentences that failed."""
import re
from pathlib import Path

from reports import tally

LONGEST = 300   # characters of a sentence; the page has all of it


def append(path: Path, claims: list[dict]) -> None:
    """Add the table to the file. Nothing is added for a run without claims."""
    if claims:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(markdown(claims))


def markdown(claims: list[dict]) -> str:
    kinds = [kind for kind, number in tally.count(claims) if number]
    themes = sorted({_theme(claim) for claim in claims})
    rows = [["theme", *(kind.name for kind in kinds)]]
    rows.append(["---", *("---:" for _ in kinds)])
    for theme in themes:
        rows.append([escaped(theme), *_numbers([claim for claim in claims if _theme(claim) == theme], kinds)])
    if len(themes) > 1:
        rows.append(["**all**", *(f"**{number}**" for number in _numbers(claims, kinds))])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n".join(["## Verdicts", "", table, "", *_failures(claims)]) + "\n"


def escaped(text: str) -> str:
    """Text as itself, on one line, whatever Markdown or HTML it contains."""
    line = " ".join(str(text).split())
    if len(line) > LONGEST:
        line = line[:LONGEST] + "…"
    return re.sub(r"([\\`*_{}\[\]()#+!|~@<>&-])", lambda match: f"&#{ord(match[0])};", line)


def _failures(claims: list[dict]) -> list[str]:
    lines = []
    for claim in filter(tally.failed, claims):
        headline = (claim.get("finding") or {}).get("headline")
        lines.append(f"- **{tally.kind_of(claim).name}** {escaped(claim.get('sentence', claim['nodeid']))}"
                     + (f"<br>{escaped(headline)}" if headline else ""))
    return ["### Needs a look", "", *lines, ""] if lines else []


def _numbers(claims: list[dict], kinds) -> list[str]:
    found = dict(tally.count(claims))
    return [str(found.get(kind, 0) or "") for kind in kinds]


def _theme(claim: dict) -> str:
    return str(claim.get("theme") or "")
