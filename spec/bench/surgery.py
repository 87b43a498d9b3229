"""`--break-at` and `--watch`: the real vLLM, opened while it plays a claim.

    pytest CLAIM --break-at=3                       the debugger stops inside vLLM's own schedule(), at step 3
    pytest CLAIM --watch "len(self.waiting)"        its value at each step, after schedule(); may be given several times

Both ask the real vLLM (`--reference=live` goes without saying), in this process. A claim with several runs stops in each of them, and
so does one with a model, whose requests have vLLM's own ids then: yours with a suffix.
"""
import argparse
import os
from bdb import BdbQuit

import pytest

from reference.instruments import Instruments
from reference.vllm_scheduler import installed_version
from spec.bench.watched import watched_table

NAMES = "self or scheduler, pool (of blocks), running, waiting, output (of schedule())"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("inferlab")
    group.addoption("--break-at", metavar="STEP", type=_step, default=None,
                    help="stop in the debugger inside the real vLLM's schedule() at this step of the claim's run")
    group.addoption("--watch", metavar="EXPRESSION", type=_expression, action="append", default=[],
                    help=f"show at each step what this comes to in the real vLLM, after schedule(); it may speak of {NAMES}")


# First: the bench is then set up with the real vLLM as its reference.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.break_at is None and not option.watch:
        return
    asked = f"--break-at={option.break_at}" if option.break_at is not None else "--watch"
    if hasattr(config, "workerinput") or getattr(option, "numprocesses", None) or getattr(option, "tx", None):
        raise pytest.UsageError(f"{asked} looks into the vLLM of this process: leave out -n")
    if option.reference not in ("auto", "live"):
        raise pytest.UsageError(f"{asked} looks into the real vLLM while it works: leave out --reference={option.reference}")
    if not installed_version():
        raise pytest.UsageError(f"{asked} looks into the real vLLM, and none is installed: run 'make spec' once")
    if option.break_at is not None and os.environ.get("PYTHONBREAKPOINT") == "0":
        raise pytest.UsageError(f"{asked} stops with breakpoint(), and PYTHONBREAKPOINT=0 switches that off: unset it")
    option.reference = "live"
    config.pluginmanager.register(Surgeon(config), "inferlab-surgeon")


class Surgeon:
    """One run of pytest with the instruments in place."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.instruments = Instruments(tuple(config.option.watch), config.option.break_at, stop_inside)
        self.claims: list[dict] = []

    def pytest_sessionstart(self) -> None:
        self.config.lab_bench.reference.instruments = self.instruments

    def pytest_report_header(self) -> list[str]:
        at, watch = self.instruments.stop_at, self.instruments.watch
        return [f"inferlab: stops inside vLLM's schedule() at step {at}"] * (at is not None) + [f"inferlab: watches {'; '.join(watch)}"] * bool(watch)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        claims = {item.originalname for item in session.items if getattr(item.obj, "claims", None)}
        if self.instruments.stop_at is not None and len(claims) != 1:
            raise pytest.UsageError(f"--break-at={self.instruments.stop_at} stops in the run of one claim, and {len(claims)} were selected: "
                                    "give the node id of one, such as spec/scheduler/test_preemption.py::test_…")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        try:
            return (yield)
        finally:
            if claim := getattr(item, "lab_claim", None):
                self.claims.append(claim | {"nodeid": item.nodeid})

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function):
        try:
            result = yield
        except pytest.fail.Exception:
            self._require_stop()
            raise
        self._require_stop()
        return result

    def pytest_terminal_summary(self, terminalreporter) -> None:
        failed = {report.nodeid for report in terminalreporter.stats.get("failed", [])}
        for claim in self.claims:
            if self.instruments.watch and claim["runs"] and (len(self.claims) == 1 or claim["nodeid"] in failed):
                terminalreporter.section(f"watched: {claim['nodeid']}")
                terminalreporter.write_line(watched_table(claim["runs"], self.instruments.watch))

    def _require_stop(self) -> None:
        """Fail if the step to stop at has never come."""
        if self.instruments.stop_at is None or self.instruments.stopped:
            return
        last = self.instruments.most_steps - 1
        why = f"the run ends with step {last}: choose one from 0 to {last}" if last >= 0 else "vLLM has not made a single one"
        pytest.fail(f"--break-at={self.instruments.stop_at}: this step never came, {why}", pytrace=False)


def stop_inside(schedule, *arguments):
    """Call vLLM's `schedule`, stopped at its door: the debugger stops at what happens next, and that is the call.

    (In Python 3.13 and later pdb stops one instruction earlier, here: `s` goes in.)
    """
    try:
        return (breakpoint(), schedule(*arguments))[1]      # on one line, or the debugger would stop at the next one here
    except (pytest.exit.Exception, BdbQuit) as quit:
        # Whoever quits quits all of pytest. As an error it would be noted as vLLM's own, and the run would go on.
        raise KeyboardInterrupt("quit in the debugger") from quit


def _step(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a step: give the number of one, and the first is 0")
    return int(text)


def _expression(text: str) -> str:
    try:
        compile(text, "--watch", "eval")
    except (SyntaxError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an expression of Python ({error}); it may speak of {NAMES}") from None
    return text
