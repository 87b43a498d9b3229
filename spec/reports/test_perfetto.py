"""Which run is exported, a profile beside it, and what is said about a file from which nothing can be made."""
import gzip
import json

import pytest

from reference.timeline import beside
from reports import perfetto
from spec.reports.traces import CROWDED, both, check, claim, run_file
from spec.scheduler import test_preemption

PROFILE = [
    {"ph": "M", "name": "process_name", "ts": 7e12, "pid": 1, "tid": 0, "args": {"name": "python"}},
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 7e12 + 5, "dur": 10.5, "args": {"Ev Idx": 1}},
    {"ph": "X", "cat": "kernel", "name": "gemm", "pid": 2, "tid": 7, "ts": 7e12 + 8, "dur": 4, "args": {}},
    {"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "tid": "PyTorch Profiler", "ts": 7e12, "dur": 30},
    {"ph": "i", "s": "g", "name": "Record Window End", "pid": "", "tid": "", "ts": 7e12 + 31}]


def named_tracks(document):
    return document | {"traceEvents": document["traceEvents"] + [
        {"ph": "M", "name": "thread_name", "ts": 0, "pid": pid, "tid": tid, "args": {"name": "op"}} for pid, tid in ((3, 1), (4, 7))]}


@pytest.mark.parametrize("packed", [False, True])
def test_a_profile_stands_beside_the_engines(tmp_path, packed):
    """Its processes have the same ids as ours: they must not be mixed up."""
    path = tmp_path / ("profile.json.gz" if packed else "profile.json")
    text = json.dumps({"schemaVersion": 1, "traceEvents": PROFILE, "deviceProperties": [{"ratio": float("nan")}]}).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    run = run_file(tmp_path, claim("a", beside(*both(CROWDED))))
    alone, document = perfetto.trace(run), perfetto.trace(run, profile=path)
    check(named_tracks(document))   # torch leaves threads that have a number without a name
    kept = document["traceEvents"][:len(alone["traceEvents"])]
    assert kept == alone["traceEvents"]
    added = document["traceEvents"][len(kept):]
    assert {event["pid"] for event in added}.isdisjoint(event["pid"] for event in kept)
    assert [(event["name"], event["ts"], event["dur"]) for event in added if event["ph"] == "X"] == [
        ("aten::mm", 5, 10.5), ("gemm", 8, 4), ("PyTorch Profiler (0)", 0, 30)]
    assert {event["args"]["name"] for event in added if event["name"] == "process_name"} == {"python", "profile: 2", "profile: Spans", "profile: "}


def test_a_profile_with_a_mark_is_put_where_the_first_step_began(tmp_path):
    """What was before the mark is left out: it belongs to no step, and would lie before the beginning."""
    path = tmp_path / "profile.json"
    mark = {"ph": "X", "cat": "user_annotation", "name": "step 0", "pid": 1, "tid": 1, "ts": 7e12 + 7, "dur": 9}
    path.write_text(json.dumps({"traceEvents": [*PROFILE, mark]}))
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))), profile=path)
    check(named_tracks(document))
    added = [event for event in document["traceEvents"] if event["pid"] > 2 and event["ph"] == "X"]
    assert [(event["name"], event["ts"]) for event in added] == [("gemm", 1), ("step 0", 0)]


@pytest.mark.parametrize("text", ["", "[1, 2]", "{}", '{"traceEvents": 3}', '{"traceEvents": []}', "<html>"])
def test_a_file_that_is_no_profile_is_called_so(tmp_path, text):
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(perfetto.UnreadableProfile, match="profile.json"):
        perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))), profile=path)


def test_a_claim_is_found_by_a_part_of_its_name_that_no_other_has(tmp_path):
    pair = beside(*both(CROWDED))
    run = run_file(tmp_path, claim("t.py::test_one", pair), claim("t.py::test_one_more", pair), claim("t.py::test_bare"))
    assert perfetto.trace(run, "more")["otherData"]["claim"] == "t.py::test_one_more"
    assert perfetto.trace(run, "t.py::test_one")["otherData"]["claim"] == "t.py::test_one"
    for name, said in ((None, "2 claims have runs"), ("test_one", "2 claims"), ("two", "called 'two'"), ("bare", "called 'bare'")):
        with pytest.raises(perfetto.NoSuchClaim, match=f"{said}[^$]*test_one_more"):
            perfetto.trace(run, name)


def test_the_run_of_the_finding_comes_first(tmp_path):
    one, other = beside(*both(CROWDED)), beside(*both(test_preemption.cornered))
    shrunk = beside(*both(test_preemption.interrupted))

    def requests(finding, number=None):
        document = perfetto.trace(run_file(tmp_path, claim("a", one, other, finding=finding)), number=number, side="theirs")
        return sum(event["name"] == "thread_name" and event["args"]["name"] != "steps" for event in document["traceEvents"])

    assert [requests(None), requests({"run": 1}), requests({"run": shrunk}), requests({"run": shrunk}, 1), requests(None, 1)] == [3, 4, 2, 4, 4]
    with pytest.raises(perfetto.NothingToDraw, match="2 runs"):
        requests(None, 2)


def test_a_file_without_runs_is_called_so(tmp_path):
    with pytest.raises(perfetto.NothingToDraw, match="no claim in"):
        perfetto.trace(run_file(tmp_path, claim("a"), {"type": "test", "nodeid": "b", "outcome": "passed"}))


def test_without_a_file_it_is_the_newest_that_has_the_claim(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(perfetto, "HERE", tmp_path)
    for day, nodeid in ((1, "one"), (2, "two"), (3, "one")):
        run = run_file(tmp_path, claim(nodeid, beside(*both(CROWDED))))
        (tmp_path / "runs").mkdir(exist_ok=True)
        run.path.rename(tmp_path / "runs" / f"2026110{day}-090000-1.jsonl")
    for arguments, written in ((["--claim", "two"], "20261102"), (["--claim", "one"], "20261103"), ([], "20261103")):
        assert perfetto.main(arguments) == 0
        assert f"{written}-090000-1.trace.json" in capsys.readouterr().out
    assert perfetto.main(["--claim", "three"]) == 1
    assert "no run file has a timeline of 'three'" in capsys.readouterr().err


def test_the_command_writes_a_file_and_says_where(tmp_path, capsys):
    run = run_file(tmp_path, claim("</script>\u202e\ud800🦙", beside(*both(CROWDED))))
    assert perfetto.main([str(run.path)]) == 0
    written = run.path.with_suffix(".trace.json")
    assert written.name in capsys.readouterr().out
    document = json.loads(written.read_bytes())
    check(document)
    assert document["otherData"]["claim"] == "</script>\u202e\ud800🦙"
    for arguments, said in (([str(run.path), "--claim", "b"], "NoSuchClaim"), ([str(tmp_path / "absent.jsonl")], "FileNotFoundError")):
        assert perfetto.main(arguments) == 1
        assert said in capsys.readouterr().err
