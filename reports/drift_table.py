"""What the record of all releases says: true since when, until when; and its summary in Markdown."""
from collections import Counter

VERDICTS = {
    "holds": "true of this release",
    "fails": "false of this release",
    "vacuous": "what it is about did not happen there",
    "absent": "it asks for a limit which this release does not have",
    "error": "its predicate finds no answer in what this release did",
}
NOT_ASKED = "not asked yet"


class NoRecord(ValueError):
    """There is no record of releases, or not one that this InferLab reads."""


def minor(version: str) -> str:
    """0.31.0 as 0.31: how people speak of a release."""
    return ".".join(version.split(".")[:2])


def versions(record: dict) -> list[str]:
    """The releases that answered, oldest first."""
    return [each["version"] for each in record["releases"] if "error" not in each]


def truth(row: dict, asked: list[str]) -> str:
    """Since and until when a sentence is true, as far as it was asked: "since 0.29", "until 0.26, since 0.28", "never"."""
    answered = [version for version in asked if version in row["answers"]]
    spans: list[list[str]] = []
    before = None
    for version in answered:
        holds = row["answers"][version][0] == "holds"
        if holds and before:
            spans[-1].append(version)
        elif holds:
            spans.append([version])
        before = holds
    if not answered:
        return NOT_ASKED
    return ", ".join(_span(span, answered) for span in spans) or "never"


def _span(span: list[str], answered: list[str]) -> str:
    first, last = span[0] == answered[0], span[-1] == answered[-1]
    if first and last:
        return "always"
    if last:
        return f"since {minor(span[0])}"
    if first:
        return f"until {minor(span[-1])}"
    return f"in {minor(span[0])}" if len(span) == 1 else f"{minor(span[0])} to {minor(span[-1])}"


def changed(row: dict) -> bool:
    """Whether two releases answer otherwise."""
    return len({told[0] for told in row["answers"].values()}) > 1


def agrees(told: list[str]) -> bool:
    """Whether impl made the same decisions: only then nothing is said of where it did not."""
    return told[0] != "absent" and len(told) < 3


def summary(record: dict) -> str:
    """The size of the matrix and a row for each release."""
    asked, rows = versions(record), record["claims"]
    moved, waiting = sum(map(changed, rows)), sum(not row["answers"] for row in rows)
    said = (f"{len(rows)} sentences, {len(asked)} releases: {moved} sentences have another answer in some release than in another"
            + (f"; not asked yet, because added or changed since: {waiting}." if waiting else "."))
    head = ["release", "built", "true", "false", "did not happen", "no such limit", "changed since the row above", "`impl` decides the same"]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    lines += [_line(record, release, asked) for release in record["releases"]]
    return "\n".join([said, "", *("| " + " | ".join(line) + " |" for line in lines)])


def _line(record: dict, release: dict, asked: list[str]) -> list[str]:
    version = release["version"]
    if "error" in release:
        return [version, "", f"no answer: {' '.join(release['error'].replace('|', '/').split())}", *[""] * 5]
    told = [row["answers"][version] for row in record["claims"] if version in row["answers"]]
    found = Counter(each[0] for each in told)
    at = asked.index(version)
    return [version, release["built"], str(found["holds"]), str(found["fails"]), str(found["vacuous"] + found["error"]), str(found["absent"]),
            str(len(flips(record, asked[at - 1], version))) if at else "", str(sum(map(agrees, told)))]


def flips(record: dict, old: str, new: str) -> list[dict]:
    """The claims to which two releases answer otherwise."""
    return [row for row in record["claims"] if {old, new} <= row["answers"].keys() and row["answers"][old][0] != row["answers"][new][0]]
