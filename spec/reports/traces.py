"""For the tests of traces: run files to make them from, the format they must have, and a way to look into them."""
import json
from collections import Counter, defaultdict
from functools import cache, partial
from pathlib import Path

import pytest

import impl
from reference import cassette
from reference.choose import PINNED_VERSION
from reference.play import OurEngine, play
from reports.run_file import RunFile, read
from spec.scheduler import test_preemption

CROWDED = test_preemption.crowded_without_cache


@cache
def schema():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install jsonschema")
    text = Path(__file__).with_name("trace_event_schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def both(workload):
    return play(workload, partial(OurEngine, impl), "impl"), cassette.load(workload, PINNED_VERSION)[0]


def run_file(folder, *events):
    run = RunFile(folder, [], {"impl": "impl"})
    for event in events:
        run.append(event)
    return read(run.path)


def claim(nodeid, *runs, **more):
    return {"type": "claim", "nodeid": nodeid, "outcome": "passed", "sentence": "So it is.", "engine": "impl", "runs": list(runs), **more}


def check(document):
    """The format, and what a viewer takes for granted."""
    problem = next(schema().iter_errors(json.loads(json.dumps(document, allow_nan=False))), None)
    assert problem is None, f"{list(problem.absolute_path)}: {problem.message}"
    events = document["traceEvents"]
    tracks, counters, named = defaultdict(list), defaultdict(list), Counter()
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "C":
            counters[event["pid"], event["name"]].append(event["ts"])
        elif event["ph"] == "M":
            named[event["name"], event["pid"], event["tid"] if event["name"].startswith("thread") else None] += 1
    for slices in tracks.values():
        ends = []
        for start, end in sorted(slices, key=lambda each: (each[0], -each[1])):
            while ends and ends[-1] <= start:
                ends.pop()
            assert not ends or end <= ends[-1], "two slices of a track overlap, and neither holds the other"
            ends.append(end)
    assert all(times == sorted(times) for times in counters.values())
    engines = len({"ours", "theirs"} & document["otherData"].keys())     # torch itself gives a thread two names
    assert {number for (_, pid, _), number in named.items() if pid <= engines} == {1}, "a track has two names"
    assert {("thread_name", *track) for track in tracks} <= named.keys(), "a track has no name"
    assert {("process_name", event["pid"], None) for event in events} <= named.keys(), "a process has no name"


def slices(document, pid, name=None):
    return [event for event in document["traceEvents"] if event["ph"] == "X" and event["pid"] == pid and name in (None, event["name"])]


def instants(document, pid):
    return Counter(event["name"] for event in document["traceEvents"] if event["ph"] == "i" and event["pid"] == pid)


def counter(document, pid, name, series):
    return [event["args"][series] for event in document["traceEvents"] if (event["ph"], event["pid"], event["name"]) == ("C", pid, name)]
