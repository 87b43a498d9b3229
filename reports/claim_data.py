"""The claims of a run as the page needs them, and their timelines, as many as it can carry."""
import shlex
from collections import Counter

from reports import tally
from reports.packed import Pieces, packed
from reports.run_file import Run

ROOM = 1_800_000        # characters of a page up to which the timelines of what passed are put in
LONGEST_LOG = 20_000    # characters of pytest's own account of a failure

_SHOWN = ("nodeid", "outcome", "duration", "sentence", "theme", "vllm", "engine", "workload", "reference", "concepts")


def claims_data(run: Run, pieces: Pieces, taken: int) -> list[dict]:
    """All claims, and into `pieces` their timelines: those of what failed always, others, small ones first, while there is room."""
    ids = short_ids([claim["nodeid"] for claim in run.claims])
    sources = {event["of"]: event for event in run.events if event["type"] == "source"}
    told = [_claim(claim, ids, sources) for claim in run.claims]
    pieces.add(packed({of: {"text": event["text"]} for of, event in sources.items()}), "sources")
    timelines = [(packed(_timelines(claim)), claim, data) for claim, data in zip(run.claims, told) if claim.get("runs")]
    size = taken + pieces.size + len(packed(told))
    for text, claim, data in sorted(timelines, key=lambda found: (not tally.failed(found[1]), len(found[0]))):
        if tally.failed(claim) or size + pieces.size + len(text) <= ROOM:
            data["runs"] = pieces.add(text)
        else:
            data["missing"] = f"python -m reports {shlex.quote(f'reports/runs/{run.path.name}')} --claim {shlex.quote(claim['nodeid'])}"
    return told


def short_ids(nodeids: list[str]) -> dict[str, str]:
    """Names for links: the test's own, where no other has it."""
    ends = [nodeid.rpartition("::")[2] for nodeid in nodeids]
    times = Counter(ends)
    return {nodeid: end if end and times[end] == 1 else nodeid for nodeid, end in zip(nodeids, ends)}


def log_of(event: dict) -> str:
    """pytest's own account; of a long one, the end, where the error stands."""
    log = str(event.get("longrepr") or "")
    return log if len(log) <= LONGEST_LOG else "…\n" + log[-LONGEST_LOG:]


def _claim(claim: dict, ids: dict[str, str], sources: dict[str, dict]) -> dict:
    about, finding, source = claim.get("about") or [], claim.get("finding"), sources.get(claim.get("vllm"))
    data = {name: claim.get(name) for name in _SHOWN} | {
        "id": ids[claim["nodeid"]], "kind": tally.kind_of(claim).key, "failed": tally.failed(claim),
        "about": [about] if isinstance(about, str) else about, "known": claim.get("known_divergence"), "longrepr": log_of(claim),
        "finding": finding and {name: value for name, value in finding.items() if name != "run" or not isinstance(value, dict)},
        "source": source and {"path": source["path"], "line": source["line"]}}
    return {name: value for name, value in data.items() if value not in (None, "", [])}


def _timelines(claim: dict) -> dict:
    """The runs of a claim's workloads and, where it is another one, the run that shows the finding."""
    shown = (claim.get("finding") or {}).get("run")
    return {"runs": claim["runs"], "shrunk": shown if isinstance(shown, dict) else None}
