"""A pytest plugin that says what a learner wants to know, and nothing else: which tests hold, and of the first that does
not, its sentence, the smallest case and the lines it went through. `gym.py` reads it: each line is a word, a tab, a text.

    begins  a test, by its name in words
    says    a line for the learner
    skips   why nothing could be judged
    ends    passed or failed
"""
import os
import re
import signal
import traceback
from pathlib import Path

import kernels  # noqa: F401  before anything imports triton: without a GPU it must be told to interpret
import pytest

MOST_LINES = 40     # of one message


class TookTooLong(BaseException):
    """Not an `Exception`: nobody on the way shall catch it, or try again."""


@pytest.hookimpl(trylast=True)      # when the one that is to be silent is there
def pytest_configure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        config.pluginmanager.unregister(reporter)
    config.pluginmanager.register(Teller(config), "drills-teller")


class Teller:
    def __init__(self, config: pytest.Config):
        # Whatever the answer prints is captured; this goes to the real one.
        self.out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        self.seconds = float(os.environ.get("INFERLAB_SECONDS", 120))
        self.failed, self.told, self.number = False, 0, 0

    def send(self, kind: str, text: str = "") -> None:
        for line in text.split("\n"):
            print(kind, line, sep="\t", file=self.out)

    def pytest_collectreport(self, report):
        if report.skipped:
            self.send("skips", str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: "))
        elif report.failed:
            self.send("skips", f"the judge cannot be read:\n{report.longrepr}")

    def pytest_collection_finish(self, session):
        self.number = len(session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.send("begins", in_words(item))
        signal.signal(signal.SIGALRM, self._too_long)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _too_long(self, *_):
        raise TookTooLong(f"this has not ended after {self.seconds:g} s: look for a loop that does not end")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.skipped:
            self.send("skips", str(report.longrepr[2]).removeprefix("Skipped: "))
        elif call.excinfo:
            self.failed = True
            self.send("says", failure(item, call.excinfo.value))
        elif call.when == "call":
            self.told += 1
            self.send("says", f"  ✓ {in_words(item)}")
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        passed = not self.failed and self.told and self.told == self.number
        if self.failed and (left := self.number - self.told - 1) > 0:
            self.send("says", f"\n  {self.told} of {self.number} tests hold; {left} more have not been asked")
        if self.failed or self.told:
            self.send("ends", "passed" if passed else "failed")
        self.out.flush()


def in_words(item: pytest.Item) -> str:
    return getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " ")


def failure(item: pytest.Item, error: BaseException) -> str:
    """Why a test does not hold, for a learner."""
    while isinstance(error, BaseExceptionGroup):    # Hypothesis has found several
        error = error.exceptions[0]
    if isinstance(error, NotImplementedError) and "is not written yet" in str(error):
        return f"  ✗ {str(error).partition(': ')[2]}"
    parts = [f"  ✗ {in_words(item)}", "", indented(message(error))]
    if case := smallest_case(error):
        parts += ["", "    the smallest case that shows it:", indented(case, 8)]
    if way := lines_on_the_way(item, error):
        parts += ["", *(f"    {line}" for line in way)]
    return "\n".join(parts)


def message(error: BaseException) -> str:
    text = str(error).strip()
    if not isinstance(error, AssertionError | TookTooLong):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text or "an assertion does not hold"


def smallest_case(error: BaseException) -> str:
    """From Hypothesis' note: the arguments, without the answer."""
    for text in getattr(error, "__notes__", ()):
        if found := re.match(r"(?:Failing test case|Falsifying example): \w+\((.*)\n\)", text, re.DOTALL):
            return "\n".join(line.strip() for line in found[1].strip().splitlines() if not line.strip().startswith("answer="))
    return ""


def lines_on_the_way(item: pytest.Item, error: BaseException) -> list[str]:
    """Of the judge and of the answer; what lies between is nobody's business here."""
    answers = os.environ.get("INFERLAB_MINE") or str(Path(__file__).parent / "mine")
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        in_judge = frame.filename == str(item.path) and not frame.line.startswith(("def ", "@"))     # there Hypothesis comes in
        if in_judge or frame.filename.startswith(answers):
            name = os.path.relpath(frame.filename) if frame.filename.startswith(os.getcwd()) else frame.filename
            found.append(f"{name}:{frame.lineno}  {frame.line}")
    if len(found) > 8:      # a recursion
        found[4:-4] = ["..."]
    return found


def indented(text: str, by: int = 4) -> str:
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        lines[MOST_LINES // 2:-MOST_LINES // 2] = [f"... {len(lines) - MOST_LINES} lines more ..."]
    return "\n".join(" " * by + line if line else "" for line in lines)
