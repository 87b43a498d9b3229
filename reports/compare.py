"""Run against run: what has changed since the run before."""
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reports import tally
from reports.run_file import Run, UnknownFormat, read

LOOK_BACK = 30      # run files that are looked at; most runs ask for one claim, and say little about another


@dataclass
class Change:
    """What the claims of a run came to, compared with an earlier run. Each entry is (nodeid, sentence, was, is)."""

    since: str                                              # when the earlier run began
    broken: list[tuple] = field(default_factory=list)       # fail, and did not
    mended: list[tuple] = field(default_factory=list)       # failed, and hold
    other: list[tuple] = field(default_factory=list)        # another verdict, and neither of these
    new: list[tuple] = field(default_factory=list)
    gone: list[tuple] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        said = [_count(self.broken, "no longer holds", "no longer hold"), _count(self.mended, "holds again", "hold again"),
                _count(self.other, "has another verdict", "have another verdict"), _count(self.new, "is new", "are new"),
                _count(self.gone, "is gone", "are gone")]
        return f"Since the run of {self.since}: " + (", ".join(filter(None, said)) or "no claim has changed") + "."


def previous(run: Run) -> Run | None:
    """The newest complete run before this one, in the same folder, of the same engine and with some of the same claims."""
    names = {claim["nodeid"] for claim in run.claims}
    earlier = sorted((path for path in run.path.parent.glob("*.jsonl") if path.name < run.path.name), reverse=True)
    for path in earlier[:LOOK_BACK] if names else ():
        try:
            before = read(path)
        except (OSError, UnknownFormat):
            continue
        if before.complete and _kind(before) == _kind(run) and names & {claim["nodeid"] for claim in before.claims}:
            return before
    return None


def compare(before: Run, after: Run) -> Change:
    """What has changed. Claims come and go only between runs that were asked for the same."""
    was, now = ({claim["nodeid"]: claim for claim in run.claims} for run in (before, after))
    change = Change(_when(before, after))
    for nodeid in sorted(was.keys() & now.keys()):
        entry = (nodeid, _sentence(now[nodeid]), tally.kind_of(was[nodeid]).name, tally.kind_of(now[nodeid]).name)
        if _fails(now[nodeid]) and not _fails(was[nodeid]):
            change.broken.append(entry)
        elif _fails(was[nodeid]) and tally.kind_of(now[nodeid]).side == tally.PASS:
            change.mended.append(entry)
        elif entry[2] != entry[3]:
            change.other.append(entry)
    if before.header.get("command") == after.header.get("command"):
        change.new = [(nodeid, _sentence(now[nodeid]), None, tally.kind_of(now[nodeid]).name) for nodeid in sorted(now.keys() - was.keys())]
        change.gone = [(nodeid, _sentence(was[nodeid]), tally.kind_of(was[nodeid]).name, None) for nodeid in sorted(was.keys() - now.keys())]
    return change


def _kind(run: Run) -> tuple:
    lab = run.header.get("lab") or {}
    return lab.get("impl"), bool(lab.get("live")), (lab.get("reference") or {}).get("version")


def _fails(claim: dict) -> bool:
    """Whether it was found not to hold. What could not be tested was found to be nothing."""
    return tally.failed(claim) and tally.kind_of(claim).side != tally.OPEN


def _sentence(claim: dict) -> str:
    return str(claim.get("sentence") or claim["nodeid"])


def _when(before: Run, after: Run) -> str:
    """`02:11`, or with the day where it was another one."""
    try:
        then, now = (datetime.fromisoformat(run.header["started"]) for run in (before, after))
    except (KeyError, ValueError):
        return Path(before.path).stem
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"


def _count(entries: list, one: str, many: str) -> str:
    return f"{len(entries)} {one if len(entries) == 1 else many}" if entries else ""
