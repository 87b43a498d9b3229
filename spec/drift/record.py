"""What is written down of all releases: `reports/drift.json`, small enough to be committed.

    {"format": 1,
     "releases": [{"version": "0.24.0", "built": "2026-06-18", "asked": "2026-11-26"}, {"version": …, "asked": …, "error": …}],
     "claims": [{"name", "theme", "sentence", "misconception", "vllm", "digest",
                 "answers": {"0.24.0": ["fails", "why", "where impl decided otherwise"], "0.31.0": ["holds"]}}],
     "changes": [{"claim", "from": "0.24.0", "to": "0.25.1", "diff": 0}],
     "diffs": ["@@ v1/core/sched/scheduler.py:661 → 679 @@\\n…"]}

A claim that was added or reworded since has no answers: it was not asked yet.
"""
import hashlib
import inspect
import json
from pathlib import Path

from spec.bench.claim import Claim
from spec.drift.releases import ROOT, order

PATH = ROOT / "reports" / "drift.json"
EMPTY = {"format": 1, "releases": [], "claims": [], "changes": [], "diffs": []}


def read(path: Path = PATH) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else dict(EMPTY)


def write(record: dict, path: Path = PATH) -> None:
    """One line for each claim, so that a diff of the file reads."""
    parts = [f'"format": {record["format"]}']
    parts += [f'"{name}": [\n' + ",\n".join(json.dumps(each, ensure_ascii=False) for each in record[name]) + "\n]"
              for name in ("releases", "claims", "changes", "diffs")]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def digest(claim: Claim) -> str:
    """What changes when a claim is no longer the one that was asked: its workloads, its predicate, what it is about."""
    asked = [claim.about, [workload.key for workload in claim.on], inspect.getsource(claim.holds)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:8]


def of_today(record: dict, claims: list[Claim]) -> dict:
    """The record with a row for each claim of today, and no other; answers of those that are the same as when they were asked."""
    known = {row["name"]: row for row in record["claims"]}
    rows = [_row(claim, known.get(claim.name)) for claim in claims]
    kept = {row["name"] for row in rows if row["answers"]}
    return _tidy(record | {"claims": rows, "changes": [each for each in record["changes"] if each["claim"] in kept]})


def with_release(record: dict, release: dict, answers: dict[str, list[str]]) -> dict:
    """The record with what a release said, in the place of what it said before."""
    version = release["version"]
    releases = sorted([each for each in record["releases"] if each["version"] != version] + [release], key=lambda each: order(each["version"]))
    rows = [row | {"answers": _answers(row, version, answers.get(row["name"]))} for row in record["claims"]]
    return record | {"releases": releases, "claims": rows}


def _answers(row: dict, version: str, told: list[str] | None) -> dict[str, list[str]]:
    """A claim's answers by release, oldest first, with a new one or without the old one."""
    answers = {name: each for name, each in row["answers"].items() if name != version} | ({version: told} if told else {})
    return dict(sorted(answers.items(), key=lambda item: order(item[0])))


def neighbours(record: dict) -> list[tuple[str, str]]:
    """Each release that answered, with the next one that did."""
    versions = [each["version"] for each in record["releases"] if "error" not in each]
    return list(zip(versions, versions[1:]))


def flipped(record: dict, old: str, new: str) -> list[str]:
    """The claims to which two releases answer otherwise, by name."""
    return [row["name"] for row in record["claims"] if old in row["answers"] and new in row["answers"]
            and row["answers"][old][0] != row["answers"][new][0]]


def with_changes(record: dict, old: str, new: str, diffs: dict[str, str]) -> dict:
    """The record with the source behind what changed between two releases, by claim."""
    texts = list(record["diffs"])
    changes = [each for each in record["changes"] if (each["from"], each["to"]) != (old, new)]
    for claim, text in diffs.items():
        texts += [text] if text not in texts else []
        changes.append({"claim": claim, "from": old, "to": new, "diff": texts.index(text)})
    return _tidy(record | {"changes": changes, "diffs": texts})


def _row(claim: Claim, before: dict | None) -> dict:
    same = before and before["digest"] == digest(claim)
    return {"name": claim.name, "theme": claim.theme, "sentence": claim.sentence, "misconception": claim.misconception, "vllm": claim.vllm,
            "digest": digest(claim), "answers": before["answers"] if same else {}}


def _tidy(record: dict) -> dict:
    """Without texts that nobody needs any more, or pairs that are no longer neighbours; by claim, then by release."""
    pairs, place = neighbours(record), {row["name"]: index for index, row in enumerate(record["claims"])}
    changes = sorted((each for each in record["changes"] if (each["from"], each["to"]) in pairs),
                     key=lambda each: (place[each["claim"]], order(each["from"])))
    texts = list(dict.fromkeys(record["diffs"][each["diff"]] for each in changes))
    return record | {"changes": [each | {"diff": texts.index(record["diffs"][each["diff"]])} for each in changes], "diffs": texts}
