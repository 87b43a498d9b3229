"""The plugin: one event for each test, whoever ran it, and the verdicts at the end."""
import time

import pytest

from reports.run_file import newest, read
from spec.reports.inner import kill, output_of, pytest_in, run_files

OUTCOMES = {"test_one": "passed", "test_two": "passed", "test_three": "failed", "test_four": "skipped", "test_ordinary": "passed",
            "test_broken": "failed", "test_skipped": "skipped", "test_expected": "xfailed", "test_leaky": "error", "test_absent": "error"}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_each_test_is_one_event(tmp_path, workers):
    summary = tmp_path / "summary.md"
    told = output_of(pytest_in(tmp_path, *workers, GITHUB_STEP_SUMMARY=str(summary)))
    [path] = run_files(tmp_path)
    run = read(path)
    events = {event["nodeid"].partition("::")[2]: event for event in run.claims + run.tests}

    assert len(run.claims + run.tests) == len(events) == len(OUTCOMES), told
    assert run.sources == {"core.py::schedule": {"type": "source", "of": "core.py::schedule", "path": "vllm/core.py", "line": 7, "text": "def schedule(): ..."}}
    assert len(run.events) == len(OUTCOMES) + 1, "the source that four claims are about is told once"
    assert events["test_one"]["runs"][0]["theirs"]["engine"] == "vllm" and "source" not in events["test_one"]
    assert {name: event["outcome"] for name, event in events.items()} == OUTCOMES
    assert [event["type"] for event in map(events.get, ["test_one", "test_four", "test_ordinary"])] == ["claim", "claim", "test"]
    assert events["test_three"]["finding"]["rows"] == [{"step": 7, "differs": True, "ours": ["a"], "theirs": ["b"]}]
    assert "assert 1 == 2" in events["test_broken"]["longrepr"] and "it leaks" in events["test_leaky"]["longrepr"]
    assert (events["test_skipped"]["reason"], events["test_expected"]["reason"]) == ("not today", "a known bug")
    assert run.header["lab"]["reference"]["version"] == "0.32.0"
    assert run.footer["exit_status"] == 1
    assert run.footer["verdicts"] == {"CONFIRMED": 2, "misconception REFUTED": 0, "known divergence": 0, "REFUTED": 0, "DIVERGED": 1,
                                      "VACUOUS": 0, "UNTESTED": 1}
    assert run.footer["tests"] == {"passed": 1, "failed": 1, "skipped": 1, "xfailed": 1, "error": 2}

    assert path.with_suffix(".html").read_bytes() == (tmp_path / "reports/latest.html").read_bytes()
    *_, counts, remedy, where, closing = told.splitlines()
    assert counts == "2 CONFIRMED · 0 misconceptions REFUTED · 0 known divergences · 0 REFUTED · 1 DIVERGED · 0 VACUOUS · 1 UNTESTED"
    assert (remedy, where) == ("UNTESTED: make record", "report: reports/latest.html")
    assert closing.startswith("=") and "2 failed" in closing

    assert "| theme | CONFIRMED | DIVERGED | UNTESTED |" in summary.read_text()
    assert "| **all** | **2** | **1** | **1** |" in summary.read_text()
    assert "**DIVERGED** test&#95;three<br>a &#124; b &#60; c" in summary.read_text()


def test_a_killed_run_stays_readable(tmp_path):
    suite = ("import time\n\ndef test_first(): pass\n\ndef test_hangs():\n    open('hanging', 'w').close()\n    time.sleep(60)\n\n"
             "def test_never(): pass\n")
    process = pytest_in(tmp_path, suite=suite)
    deadline = time.monotonic() + 30
    while not (tmp_path / "hanging").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(process)
    run = read(newest(tmp_path / "reports/runs"))
    assert [event["nodeid"] for event in run.events] == ["test_inner.py::test_first"]
    assert run.header["command"][0] == "pytest" and not run.complete


def test_a_crashed_worker_is_an_event_too(tmp_path):
    output_of(pytest_in(tmp_path, "-n", "1", suite="import os\n\ndef test_dies(): os._exit(3)\n\ndef test_next(): pass\n"))
    run = read(newest(tmp_path / "reports/runs"))
    assert {event["nodeid"].partition("::")[2]: event["outcome"] for event in run.events} == {"test_dies": "failed", "test_next": "passed"}
    assert run.complete


def test_a_file_that_cannot_be_collected_is_told(tmp_path):
    output_of(pytest_in(tmp_path, suite="import nothing_of_that_name\n"))
    run = read(newest(tmp_path / "reports/runs"))
    assert [(event["nodeid"], event["outcome"]) for event in run.events] == [("test_inner.py", "error")]
    assert "nothing_of_that_name" in run.events[0]["longrepr"] and run.footer["exit_status"] == 2


def test_the_pages_of_the_last_runs_are_kept_and_all_run_files(tmp_path):
    runs = tmp_path / "reports/runs"
    runs.mkdir(parents=True)
    for day in range(1, 15):
        (runs / f"202601{day:02}-120000-1.jsonl").write_text("")
        (runs / f"202601{day:02}-120000-1.html").write_text("")
    output_of(pytest_in(tmp_path, "-k", "test_one"))
    assert len(run_files(tmp_path)) == 15
    assert [path.name[:8] for path in sorted(runs.glob("*.html"))[:-1]] == [f"202601{day:02}" for day in range(6, 15)]


def test_from_a_folder_below_the_report_is_found(tmp_path):
    (tmp_path / "below").mkdir()
    told = output_of(pytest_in(tmp_path, "..", "-k", "test_one", cwd=tmp_path / "below"))
    assert "report: ../reports/latest.html" in told
    assert read(newest(tmp_path / "reports/runs")).header["folder"] == "below"


def test_without_claims_there_is_no_section(tmp_path):
    told = output_of(pytest_in(tmp_path, "-k", "ordinary"))
    assert "verdicts" not in told and "1 passed" in told
    assert len(run_files(tmp_path)) == 1


@pytest.mark.parametrize("option", ["--no-report", "--collect-only"])
def test_nothing_is_left_behind(tmp_path, option):
    told = output_of(pytest_in(tmp_path, option))
    assert not (tmp_path / "reports").exists()
    assert ("2 CONFIRMED" in told) == (option == "--no-report")


def test_a_report_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "reports").write_text("a file where the folder should be")
    told = output_of(pytest_in(tmp_path, "-k", "test_one"))
    assert "no report: " in told and "1 CONFIRMED" in told
    assert "1 passed" in told.splitlines()[-1]
