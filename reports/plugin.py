"""The pytest plugin: it writes down what happens, and says at the end what it came to.

A claim's test carries a dict `report.claim` on the report of its call; every other test is an ordinary one. What the
run is about (which vLLM, which reference) is taken from `config.lab_header`, if somebody has set it, and the concept map from
`config.lab_concepts`.
"""
import os
from collections import Counter
from pathlib import Path

import pytest

from reports import job_summary, tally
from reports.page import write_page
from reports.run_file import RunFile, read

PAGES_KEPT = 10


def pytest_addoption(parser):
    parser.getgroup("inferlab").addoption("--no-report", action="store_true", help="write no run file and no page")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # with xdist, the workers tell the controller, and it writes
        config.pluginmanager.register(Recorder(config), "inferlab-recorder")


class Recorder:
    """One run: its events as they come, then the run file's footer, the page and the verdicts."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.folder = config.rootpath / "reports"
        self.events: list[dict] = []
        self.sources: set[str] = set()
        self.unfinished: dict[str, dict] = {}   # by test: what its set-up and its call came to
        self.run: RunFile | None = None
        self.files = not (config.option.no_report or config.option.collectonly)
        self.trouble: str | None = None

    def pytest_runtest_logstart(self, nodeid):
        self._write(self._open)  # only now: a run that runs nothing leaves nothing

    def pytest_collectreport(self, report):
        if report.failed:
            self._finish({"type": "test", "nodeid": report.nodeid, "outcome": "error", "duration": 0.0,
                          "longrepr": report.longreprtext})

    def pytest_runtest_logreport(self, report):
        event = self.unfinished.setdefault(
            report.nodeid, {"type": "test", "nodeid": report.nodeid, "outcome": "passed", "duration": 0.0})
        _merge(event, report)
        if report.when not in ("setup", "call"):    # after its tear-down, or when its worker has crashed
            self._finish(self.unfinished.pop(report.nodeid))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        for event in self.unfinished.values():
            self._finish(event)
        if self.run:
            self._write(lambda: self._close(session.exitstatus))
        if target := os.environ.get("GITHUB_STEP_SUMMARY"):
            self._write(lambda: job_summary.append(Path(target), self.claims))

    # Around all others: the verdicts stand right above pytest's own closing line.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter):
        result = yield
        if self.claims:
            terminalreporter.section("verdicts")
            self._print_counts(terminalreporter)
            for line in tally.sequences(self.claims):
                terminalreporter.write_line(line)
            if remedy := tally.remedy(self.claims):
                terminalreporter.write_line(f"UNTESTED: {remedy}", yellow=True)
            if self.run:
                where = os.path.relpath(self.folder / "latest.html", self.config.invocation_params.dir)
                terminalreporter.write_line(f"report: {where}")
        if self.trouble:
            terminalreporter.write_line(f"no report: {self.trouble}", yellow=True)
        return result

    @property
    def claims(self) -> list[dict]:
        return [event for event in self.events if event["type"] == "claim"]

    def _open(self) -> None:
        if self.run is None and self.files:
            params = self.config.invocation_params
            self.run = RunFile(self.folder / "runs", ["pytest", *map(str, params.args)], getattr(self.config, "lab_header", {}),
                               folder=os.path.relpath(params.dir, self.config.rootpath))
            if themes := getattr(self.config, "lab_concepts", None):
                self.run.append({"type": "concepts", "themes": themes})

    def _finish(self, event: dict) -> None:
        self._write(self._open)
        source = event.pop("source", None)
        if source and source["of"] not in self.sources:     # many claims are about the same place
            self.sources.add(source["of"])
            self._append({"type": "source", **source})
        # Only the page shows the runs, and reads them from the file.
        self.events.append({name: value for name, value in event.items() if name != "runs"})
        self._append(event)

    def _append(self, event: dict) -> None:
        if self.run:
            self._write(lambda: self.run.append(event))

    def _close(self, exit_status: int) -> None:
        verdicts = {kind.name: number for kind, number in tally.count(self.claims)}
        tests = Counter(event["outcome"] for event in self.events if event["type"] == "test")
        self.run.close(exit_status, verdicts, dict(tests))
        run = read(self.run.path)
        for page in (self.run.path.with_suffix(".html"), self.folder / "latest.html"):
            write_page(run, page)
        for page in sorted(self.folder.glob("runs/*.html"))[:-PAGES_KEPT]:      # `python -m reports RUNFILE` makes any again
            page.unlink(missing_ok=True)

    def _write(self, action) -> None:
        """A disk that is full or read-only costs the report, never the run."""
        try:
            action()
        except OSError as error:
            self.run, self.files, self.trouble = None, False, str(error)

    def _print_counts(self, terminalreporter) -> None:
        colours = {tally.PASS: {"green": True}, tally.FAIL: {"red": True, "bold": True}, tally.OPEN: {"yellow": True}}
        for index, (kind, number) in enumerate(tally.count(self.claims)):
            terminalreporter.write(" · " if index else "")
            terminalreporter.write(tally.phrase(kind, number), **(colours[kind.side] if number else {}))
        terminalreporter.write("\n")


def _merge(event: dict, report) -> None:
    """What one phase of a test adds to its event."""
    event["duration"] = round(event["duration"] + report.duration, 6)
    if claim := getattr(report, "claim", None):
        event.update({**claim, **event, "type": "claim"})   # the test's own fields win
    if report.failed:
        event["outcome"] = "error" if report.when in ("setup", "teardown") else "failed"
        event["longrepr"] = "\n\n".join(filter(None, [event.get("longrepr"), report.longreprtext]))
    elif report.skipped:
        event["outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        event["reason"] = report.wasxfail if hasattr(report, "wasxfail") else _skip_reason(report)
    elif hasattr(report, "wasxfail") and report.when == "call":
        event["outcome"] = "xpassed"


def _skip_reason(report) -> str:
    if isinstance(report.longrepr, tuple):  # (path, line, "Skipped: because")
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext
