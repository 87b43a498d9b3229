"""The run file: whatever becomes of the process that writes it, what it has written can be read."""
import json
import os

import pytest

from reports.__main__ import main
from reports.run_file import RunFile, UnknownFormat, newest, read
from spec.reports.test_page import Page

LAB = {"impl": "impl", "reference": {"mode": "live", "version": "0.32.0", "date": "2026-11-22"}}
EVENTS = [
    {"type": "claim", "nodeid": "a", "outcome": "passed", "duration": 0.1, "sentence": "Für alle: \u202e\u2028\ud800 🦙\n", "verdict": "CONFIRMED"},
    {"type": "test", "nodeid": "b", "outcome": "failed", "duration": 0.2, "longrepr": "E   assert 1 == 2"}]


def written(folder, close=True):
    run = RunFile(folder, ["pytest", "-k", "preempt"], LAB)
    for event in EVENTS:
        run.append(event)
    if close:
        run.close(1, {"CONFIRMED": 1}, {"failed": 1})
    return run.path


def test_what_was_written_is_read(tmp_path):
    run = read(written(tmp_path / "runs"))
    assert run.events == EVENTS
    assert (run.claims, run.tests) == (EVENTS[:1], EVENTS[1:])
    assert run.header["lab"] == LAB
    assert run.header["command"] == ["pytest", "-k", "preempt"]
    assert {"format", "started", "machine", "python"} <= run.header.keys()
    assert (run.footer["exit_status"], run.footer["verdicts"], run.footer["tests"]) == (1, {"CONFIRMED": 1}, {"failed": 1})
    assert run.complete and not run.damaged


def test_each_event_is_in_the_file_before_the_next(tmp_path):
    run = RunFile(tmp_path, [], {})
    for number, event in enumerate(EVENTS, 1):
        run.append(event)
        assert read(run.path).events == EVENTS[:number]


def test_a_file_cut_anywhere_is_read_up_to_there(tmp_path):
    whole = written(tmp_path / "runs").read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = [sum(map(len, lines[:number + 1])) - 1 for number in range(len(lines))]     # a line needs no line break to be whole
    for length in {*range(0, len(whole), 20), *(end + near for end in ends for near in (-1, 0, 1))}:
        path = tmp_path / "cut.jsonl"
        path.write_bytes(whole[:length])
        run = read(path)
        there = sum(end <= length for end in ends)
        assert run.events == EVENTS[:max(there - 1, 0)]
        assert run.complete == (there == len(lines))
        assert bool(run.header) == (there > 0)


def test_a_damaged_line_costs_only_itself(tmp_path):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines()
    lines[1:1] = [b"\xff\xfe{", b"12", b"{}"]
    path.write_bytes(b"\n".join(lines))
    run = read(path)
    assert (run.events, run.damaged, run.complete) == (EVENTS, 3, True)


def test_a_later_format_is_refused_by_name(tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UnknownFormat, match="format 2; this InferLab reads 1"):
        read(path)


def test_two_runs_of_one_second_have_two_files(tmp_path):
    paths = [written(tmp_path) for _ in range(3)]
    assert len(set(paths)) == 3
    assert all(read(path).events == EVENTS for path in paths)


def test_the_newest_is_the_one_that_started_last(tmp_path):
    assert newest(tmp_path / "nowhere") is None
    for age, name in enumerate(["20261122-090000-99999.jsonl", "20261122-100000-7.jsonl", "20261121-235959-8.jsonl", "bench.json"]):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1_000_000 + age, 1_000_000 + age))   # an older run may have been touched later
    assert newest(tmp_path).name == "20261122-100000-7.jsonl"


def test_a_page_can_be_made_of_a_run_that_was_killed(tmp_path, capsys):
    path = written(tmp_path, close=False)
    path.write_bytes(path.read_bytes() + json.dumps(EVENTS[0]).encode()[:20])
    assert main([str(path)]) == 0
    told = capsys.readouterr().out
    assert "not come to its end" in told and path.with_suffix(".html").name in told
    assert Page(path.with_suffix(".html").read_text()).run["warning"].startswith("This run has not come to its end")


def test_a_page_of_one_claim_stands_beside_that_of_the_run(tmp_path, capsys):
    path = written(tmp_path)
    assert main([str(path), "--claim", "nothing"]) == 1 and "NoSuchClaim" in capsys.readouterr().err
    name = next(event["nodeid"] for event in EVENTS if event["type"] == "claim")
    assert main([str(path), "--claim", name]) == 0
    page, = tmp_path.glob("**/*.html")
    assert page.name in capsys.readouterr().out and page.stem.startswith(f"{path.stem}-")
    assert [claim["nodeid"] for claim in Page(page.read_text()).run["claims"]] == [name]


def test_a_run_file_that_is_not_there_is_said_in_words(tmp_path, capsys, monkeypatch):
    assert main([str(tmp_path / "absent.jsonl")]) == 1
    assert "cannot be shown" in capsys.readouterr().err
    monkeypatch.setattr("reports.__main__.FOLDER", tmp_path)
    assert main([]) == 1
    assert "make spec" in capsys.readouterr().err
