"""pytest: the options, the header, the `bench` fixture, and what a claim's test says."""
import importlib
import os
import sys
from functools import partial

import pytest

from reference.choose import MODES, NoReference, Reference
from reference.play import OurEngine, play
from reference.trace import Run
from reference.workload import Workload
from spec.bench.claim import Claim
from spec.bench.divergence import first_divergence
from spec.bench.finding import describe, tell
from spec.bench.known_divergences import KNOWN_DIVERGENCES
from spec.bench.verdict import Judgement, Verdict, judge

MOST_SHRUNK = 3     # findings per process that are shrunk: each takes seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("inferlab")
    group.addoption("--reference", choices=MODES, default="auto",
                    help="who says what vLLM does: " + "; ".join(f"{mode}: {text}" for mode, text in MODES.items()))
    group.addoption("--impl", default="impl", metavar="PACKAGE",
                    help="the engine to compare with vLLM: a package with the doors of impl (default: %(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    reference = Reference(config.getoption("reference"))
    try:
        reference.require()
    except NoReference as why:
        raise pytest.UsageError(str(why)) from None
    name = config.getoption("impl")
    sys.path.insert(0, str(config.invocation_params.dir))
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        raise pytest.UsageError(f"--impl={name}: {error}; name a package that can be imported from here") from None
    if not hasattr(package, "Scheduler"):
        raise pytest.UsageError(f"--impl={name}: it has no Scheduler; see impl/naive.py for the doors an engine needs")
    config.lab_bench = Bench(reference, package, name)
    config.lab_header = {"reference": {"mode": reference.mode, "version": reference.version, "date": reference.date}, "impl": name}


def pytest_report_header(config: pytest.Config) -> str:
    reference = config.lab_bench.reference
    when = "recorded" if reference.mode in ("auto", "recorded") else "asked"
    return (f"inferlab: {config.getoption('impl')} against vLLM {reference.version}, "
            f"reference {reference.mode} ({MODES[reference.mode]}; {when} {reference.date})")


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> "BenchOfTest":
    """Where a claim is judged."""
    return BenchOfTest(request.config.lab_bench, request.node)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    outcome = yield
    if call.when == "call" and hasattr(item, "lab_claim"):
        outcome.get_result().claim = item.lab_claim


class Bench:
    """Both engines, asked once per workload."""

    def __init__(self, reference: Reference, package, name: str):
        self.reference, self.package, self.name = reference, package, name
        self.shrinks_left = MOST_SHRUNK
        self._ours: dict[str, Run] = {}

    def ours(self, workload: Workload) -> Run:
        if workload.key not in self._ours:
            self._ours[workload.key] = play(workload, partial(OurEngine, self.package), self.name)
        return self._ours[workload.key]


class BenchOfTest:
    """The bench as one test sees it."""

    def __init__(self, bench: Bench, item: pytest.Item):
        self.bench, self.item = bench, item

    def judge(self, claim: Claim) -> None:
        """Judge a claim: returns, fails or skips as the verdict says."""
        reference, known = self.bench.reference, KNOWN_DIVERGENCES.get(claim.name) if self.bench.name == "impl" else None
        record = self.item.lab_claim = {
            "sentence": claim.sentence, "theme": claim.theme, "vllm": claim.vllm, "about": list(claim.about), "verdict": "ERROR",
            "misconception": claim.misconception, "known_divergence": known._asdict() if known else None,
            "engine": self.bench.name, "workload": "\n\n".join(workload.source() for workload in claim.on), "finding": None,
            "reference": {"mode": "none", "version": reference.version, "date": ""}}
        try:
            answers = [reference.run(workload) for workload in claim.on]
        except NoReference as why:
            return self._untested(record, str(why))
        record["reference"] = {"mode": answers[0].mode, "version": answers[0].version, "date": answers[0].date}
        judgement = judge(claim, [self.bench.ours(workload) for workload in claim.on], answers)
        record["verdict"] = str(judgement.verdict)
        complaint = self._complaint(judgement, known)
        if complaint is not None:
            self._fail(judgement, record, complaint)
        elif judgement.verdict is not Verdict.CONFIRMED:    # a misconception's counter-example, a known divergence's step
            record["finding"] = self._describe(judgement, may_shrink=False) | {"next": None}

    def same_run(self, workload: Workload) -> Run:
        """vLLM's run of a workload, after asserting that ours is the same."""
        __tracebackhide__ = True
        try:
            theirs = self.bench.reference.run(workload).run
        except NoReference as why:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"UNTESTED: {why}")
        divergence = first_divergence(self.bench.ours(workload), theirs)
        assert divergence is None, f"the engines part: {divergence}"
        return theirs

    def _untested(self, record: dict, remedy: str) -> None:
        record["verdict"], record["finding"] = str(Verdict.UNTESTED), _only_remedy(remedy)
        if os.environ.get("CI"):
            pytest.fail(f"UNTESTED: {remedy}", pytrace=False)
        pytest.skip(f"UNTESTED: {remedy}")

    def _complaint(self, judgement: Judgement, known) -> str | None:
        """What is wrong with this verdict; None if it is the one to wish for."""
        wanted = Verdict.REFUTED if judgement.claim.misconception else Verdict.CONFIRMED
        if known and judgement.verdict is wanted:
            return "spec/bench/known_divergences.py says that the engines part here, and they do not: remove the entry."
        if judgement.verdict is (Verdict.DIVERGED if known else wanted):
            return None
        if judgement.verdict is Verdict.CONFIRMED:
            return "This is marked as a misconception, and it is true of vLLM."
        return ""

    def _fail(self, judgement: Judgement, record: dict, complaint: str) -> None:
        may_shrink = self.bench.shrinks_left > 0
        self.bench.shrinks_left -= 1
        record["finding"] = self._describe(judgement, may_shrink)
        text = tell(record["finding"], judgement.claim.sentence, self.bench.name, judgement.answer)
        pytest.fail("\n\n".join(filter(None, (complaint, text))), pytrace=False)


    def _describe(self, judgement: Judgement, may_shrink: bool) -> dict:
        return describe(judgement, self.bench.package, self.bench.reference, self.item.nodeid, may_shrink)


def _only_remedy(remedy: str) -> dict:
    return {"headline": "", "step": None, "what": "", "ours": "", "theirs": "", "rows": [], "ours_reasons": [],
            "shrunk": None, "source": None, "next": None, "remedy": remedy}
