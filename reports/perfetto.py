"""`python -m reports.perfetto [RUNFILE]`: a run for ui.perfetto.dev or chrome://tracing, of either engine or of both.

A torch profile may be put beside it (`--profile`). If it has a mark called "step 0", as those of
`reference.experiments.capture_timeline` have, it is moved to where that step began; else both begin at 0.
"""
import argparse
import gzip
import json
import os
import sys
from pathlib import Path

from reports import tally
from reports.run_file import Run, UnknownFormat, read
from reports.trace_events import is_measured, trace_events

HERE = Path(__file__).parent
SIDES = ("ours", "theirs")
SHOWN = 8       # claims named in an error


class NoSuchClaim(ValueError):
    """No claim, or more than one, is called so."""


class NothingToDraw(ValueError):
    """There is no timeline in what was asked for."""


class UnreadableProfile(ValueError):
    """Not what torch.profiler exports."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports.perfetto", description="Write a run as a trace for Perfetto.")
    parser.add_argument("run_file", nargs="?", type=Path, help="a .jsonl file; the newest of reports/runs that has what is asked for if not given")
    parser.add_argument("--claim", help="a claim's test, or a part of its name that no other has")
    parser.add_argument("--run", type=int, help="which of its workloads, from 0; the one of its finding if not given")
    parser.add_argument("--side", choices=[*SIDES, "both"], default="both")
    parser.add_argument("--profile", type=Path, help="a trace of torch.profiler (.json or .json.gz), to be put beside it")
    parser.add_argument("-o", "--output", type=Path, help="where to; beside the run file if not given")
    asked = parser.parse_args(argv)
    try:
        run = read(asked.run_file) if asked.run_file else _newest(HERE / "runs", asked.claim)
        output = asked.output or run.path.with_suffix(".trace.json")
        document = trace(run, asked.claim, asked.run, asked.side, asked.profile)
        output.write_text(json.dumps(document, allow_nan=False), encoding="ascii")
    except (OSError, UnknownFormat, NoSuchClaim, NothingToDraw, UnreadableProfile) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"trace: {os.path.relpath(output)}   (open it in https://ui.perfetto.dev, which reads it on your machine)")
    return 0


def trace(run: Run, claim: str | None = None, number: int | None = None, side: str = "both", profile: Path | None = None) -> dict:
    """The whole document."""
    about, pair = _chosen(run, claim, number)
    timelines = {each: pair[each] for each in SIDES if pair.get(each) and side in (each, "both")}
    if not timelines:
        raise NothingToDraw(f"{run.path.name} holds no timeline of this side: {side}")
    starts = [step["time"][0] for timeline in timelines.values() if is_measured(timeline) for step in timeline["steps"]]
    events, engines = [], {}
    for pid, (each, timeline) in enumerate(timelines.items(), 1):
        name = str(timeline["engine"]) if each == "ours" else "vLLM"
        events += trace_events(timeline, pid, f"{name} ({each})", min(starts, default=0.0))
        engines[each] = {"engine": name, "ended": timeline.get("ended"), "error": timeline.get("error"),
                         "time": "as measured" if is_measured(timeline) else "not measured: one step is drawn as 1 ms"}
    if profile:
        events += _beside(_profile(profile), first_pid=len(timelines) + 1)
        about |= {"profile": f"{profile.name}, moved to begin at 0, or so that its mark 'step 0' lies at the first step"}
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"made by": "InferLab", "run file": run.path.name, **about, **engines}}


def _newest(folder: Path, claim: str | None) -> Run:
    """The run that began last, of those in which this claim has a timeline."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        run = read(path)
        if any(each.get("runs") and (claim or "") in each["nodeid"] for each in run.claims) or not claim and _live(run):
            return run
    raise NothingToDraw(f"no run file has a timeline{f' of {claim!r}' if claim else ''}: run the claim first, with pytest")


def _chosen(run: Run, claim: str | None, number: int | None) -> tuple[dict, dict]:
    """Which pair of timelines is meant, and what to say about it."""
    if live := _live(run):
        if claim:
            raise NoSuchClaim(f"{run.path.name} is a live run: it has no claims; leave out --claim")
        return {}, live
    found = _claim(run, claim)
    pair = _pair(found, number)
    if pair.get("theirs") and not pair.get("ours"):     # the very same decisions; the reasons are ours
        mine = pair["theirs"] | {"engine": found.get("engine") or "ours"}
        without = [{name: value for name, value in step.items() if name != "reasons"} for step in mine["steps"]]
        pair = {"ours": mine, "theirs": pair["theirs"] | {"steps": without}}
    return {"claim": found["nodeid"], "sentence": found.get("sentence"), "verdict": found.get("verdict")}, pair


def _claim(run: Run, name: str | None) -> dict:
    claims = [claim for claim in run.claims if claim.get("runs")]
    if not claims:
        raise NothingToDraw(f"no claim in {run.path.name} has a run: run the claims again, and take the new file")
    named = [claim for claim in claims if name is None or name in claim["nodeid"]]
    exact = [claim for claim in named if claim["nodeid"] == name] or named
    if len(exact) == 1:
        return exact[0]
    first = sorted(exact or claims, key=lambda claim: not tally.failed(claim))
    listed = "".join(f"\n    {claim['nodeid']!r}" for claim in first[:SHOWN]) + ("\n    …" if len(first) > SHOWN else "")
    several = f"{len(exact)} claims have runs" + (f" and {name!r} in their name" if name else "")
    said = several if named else f"no claim with a run is called {name!r}"
    raise NoSuchClaim(f"{said}: name one of them with --claim{listed}")


def _pair(claim: dict, number: int | None) -> dict:
    """The run that shows the finding, or the one of that number."""
    shown, runs = (claim.get("finding") or {}).get("run") or 0, claim["runs"]
    if number is None and isinstance(shown, dict):
        return shown
    index = shown if number is None else number
    if not 0 <= index < len(runs):
        raise NothingToDraw(f"{claim['nodeid']!r} has {len(runs)} runs, counted from 0: there is no run {index}")
    return runs[index]


def _live(run: Run) -> dict:
    """The timelines of a live run file: their steps are events of their own."""
    pair = {event["side"]: event["timeline"] | {"steps": [], "requests": [*event["timeline"].get("requests", ())]} for event in run.events if event["type"] == "run"}
    for event in run.events:
        if event["type"] == "step" and event["side"] in pair:
            pair[event["side"]]["steps"].append(event["step"])
        elif event["type"] == "request":
            for timeline in pair.values():
                timeline["requests"].append(event["request"])
    return pair


def _profile(path: Path) -> list[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            document = json.load(file, parse_constant=str)      # NaN is not JSON, though some write it
        events = document["traceEvents"] if isinstance(document, dict) else document
        known = [event for event in events if "ph" in event and event.get("pid") is not None]
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise UnreadableProfile(f"{path} is no trace: export one with prof.export_chrome_trace(path) ({error})") from error
    if not known:
        raise UnreadableProfile(f"{path} holds no event: was the profiler stopped before it was exported?")
    return known


def _beside(events: list[dict], first_pid: int) -> list[dict]:
    """A profile's events with process ids that nobody has, each process and thread named as it was."""
    begun = [event for event in events if "ts" in event and event["ph"] != "M"]
    marks = [event["ts"] for event in begun if event.get("name") == "step 0" and event.get("cat") == "user_annotation"]
    start = min(marks or [event["ts"] for event in begun], default=0)
    pids: dict = {}
    tids: dict = {}
    moved, named = [], {(event["name"], event["pid"], event.get("tid")) for event in events if event["ph"] == "M"}
    for event in events:
        if "ts" in event and event["ph"] != "M" and event["ts"] < start:    # before the first step
            continue
        pid, tid = event["pid"], event.get("tid", 0)
        new = pids.setdefault(pid, first_pid + len(pids))
        thread = tids.setdefault((pid, tid), tid if isinstance(tid, int) else 1_000_000 + len(tids))
        at = event["ts"] - start if "ts" in event and event["ph"] != "M" else 0
        moved.append(event | {"pid": new, "tid": thread, "ts": at})
    missing = [("process_name", pid, 0, f"profile: {pid}") for pid in pids if ("process_name", pid) not in {each[:2] for each in named}]
    missing += [("thread_name", pid, tids[pid, tid], str(tid)) for pid, tid in tids if not isinstance(tid, int) and ("thread_name", pid, tid) not in named]
    return moved + [{"ph": "M", "name": name, "pid": pids[pid], "tid": tid, "ts": 0, "args": {"name": label}} for name, pid, tid, label in missing]


if __name__ == "__main__":
    raise SystemExit(main())
