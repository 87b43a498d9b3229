"""pytest: the options, the header, the `bench` fixture, and what a claim's test says."""
import importlib
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec

import pytest

from reference.choose import MODES, Answer, NoReference, Reference, recording
from reference.concepts import concepts_of, map_as_data
from reference.generate import Generation, OurGenerator, generate
from reference.play import OurEngine, play
from reference.prompts import Prompts
from reference.source import excerpt
from reference.timeline import beside
from reference.trace import Run
from reference.vllm_scheduler import installed_device
from reference.workload import Workload
from spec.bench.agreement import agreement, first_difference, generate_beside
from spec.bench.claim import Claim
from spec.bench.divergence import first_divergence
from spec.bench.finding import describe, tell
from spec.bench.known_divergences import KNOWN_DIVERGENCES
from spec.bench.verdict import Judgement, Verdict, judge

# The models are tiny: a second thread costs more than it gives, above all beside other workers. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MOST_SHRUNK = 3     # findings per process that are shrunk: each takes seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("inferlab")
    group.addoption("--reference", choices=MODES, default="auto",
                    help="who says what vLLM does: " + "; ".join(f"{mode}: {text}" for mode, text in MODES.items()))
    group.addoption("--impl", default="impl", metavar="PACKAGE",
                    help="the engine to compare with vLLM: a package with the doors of impl (default: %(default)s)")
    group.addoption("--mine", metavar="DRILL", default=None,
                    help="your answer to a drill takes its place in impl: block_pool, or block_pool:solution, or block_pool:PATH")


def pytest_configure(config: pytest.Config) -> None:
    mode = config.getoption("reference")
    reference = Reference(mode, _shared_vllm(config), "cpu" if mode == "recorded" else installed_device())
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
    if mine := config.getoption("mine"):
        if name != "impl":
            raise pytest.UsageError(f"--mine={mine}: it takes a place in impl, not in --impl={name}")
        from spec.bench.mine import put_in      # nobody else needs the drills
        name = f"impl with {put_in(mine)}"
    config.lab_bench = Bench(reference, package, name, f" --mine={mine}" if mine else "")
    config.lab_concepts = map_as_data()
    config.lab_header = {"reference": {"mode": reference.mode, "version": reference.version, "date": reference.date}, "impl": name}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """xdist's workers share one process that holds the real LLM."""
    node.workerinput["lab_vllm"] = node.config.lab_vllm


def _shared_vllm(config: pytest.Config) -> str | None:
    """The socket of the real LLM that all workers share; None without workers."""
    if hasattr(config, "workerinput"):
        return config.workerinput["lab_vllm"]
    if getattr(config.option, "numprocesses", None):
        folder = tempfile.mkdtemp(prefix="inferlab-")
        config.lab_vllm = os.path.join(folder, f"{os.getpid()}.socket")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return None


def pytest_report_header(config: pytest.Config) -> str:
    reference = config.lab_bench.reference
    when = "recorded" if reference.mode in ("auto", "recorded") else "asked"
    return (f"inferlab: {config.lab_bench.name} against vLLM {reference.version}, "
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

    def __init__(self, reference: Reference, package, name: str, options: str = ""):
        self.reference, self.package, self.name, self.options = reference, package, name, options
        self.shrinks_left = MOST_SHRUNK
        self._ours: dict[str, Run] = {}

    def lacks(self, claim: Claim) -> str | None:
        """What it takes to ask our side of a claim, and is not here."""
        if not any(isinstance(asked, Prompts) for asked in claim.on):
            return None
        if not find_spec("torch"):
            return "an engine with a model needs torch, and there is none here: 'make setup' installs it"
        return None if hasattr(self.package, "LLM") else f"{self.name} has no LLM; see impl/llm.py for the doors it needs"

    def ours(self, workload: Workload) -> Run:
        if workload.key not in self._ours:
            self._ours[workload.key] = play(workload, partial(OurEngine, self.package), self.name)
        return self._ours[workload.key]

    def beside(self, asked: Workload | Prompts, theirs: Run) -> Run:
        """Our run of what `theirs` is a run of."""
        if not isinstance(asked, Prompts):
            return self.ours(asked)
        if asked.key not in self._ours:
            self._ours[asked.key] = generate_beside(
                theirs, lambda forced: generate(asked, partial(OurGenerator, self.package, forced=forced, **self.reference.where), self.name))
        return self._ours[asked.key]


class BenchOfTest:
    """The bench as one test sees it."""

    def __init__(self, bench: Bench, item: pytest.Item):
        self.bench, self.item = bench, item

    def judge(self, claim: Claim) -> None:
        """Judge a claim: returns, fails or skips as the verdict says."""
        reference, known = self.bench.reference, KNOWN_DIVERGENCES.get(claim.name) if self.bench.package.__name__ == "impl" else None
        record = self.item.lab_claim = {
            "sentence": claim.sentence, "theme": claim.theme, "sequences": [], "vllm": claim.vllm, "about": list(claim.about), "verdict": "ERROR",
            "concepts": [concept.name for concept in concepts_of(claim.vllm, claim.about)],
            "misconception": claim.misconception, "known_divergence": known._asdict() if known else None,
            "engine": self.bench.name, "source": excerpt(claim.vllm), "runs": [], "workload": "\n\n".join(workload.source() for workload in claim.on), "finding": None,
            "reference": {"mode": "none", "version": reference.version, "date": ""}}
        if missing := self.bench.lacks(claim):
            return self._untested(record, missing)
        if claim.build not in (None, reference.device):
            pytest.skip(self._note_untested(record, f"this is about vLLM's build for {claim.build}, and here it computes on {reference.device}: "
                                                    "ask where that build is installed, or with --reference=recorded"))
        try:
            answers = [reference.run(asked) for asked in claim.on]
        except NoReference as why:
            return self._untested(record, str(why))
        record["reference"] = {"mode": answers[0].mode, "version": answers[0].version, "date": answers[0].date}
        judgement = judge(claim, [self.bench.beside(asked, answer.run) for asked, answer in zip(claim.on, answers)], answers)
        record["verdict"] = str(judgement.verdict)
        record["runs"] = [beside(ours, theirs) for ours, theirs in zip(judgement.ours, judgement.theirs)]
        record["sequences"] = [{"key": theirs.workload.key, "dtype": theirs.workload.limits["dtype"], **asdict(agreement(ours, theirs))}
                               for ours, theirs in zip(judgement.ours, judgement.theirs) if isinstance(theirs, Generation)]
        complaint = self._complaint(judgement, known)
        if complaint is not None:
            self._fail(judgement, record, complaint)
        elif judgement.verdict is not Verdict.CONFIRMED:    # a misconception's counter-example, a known divergence's step
            record["finding"] = self._describe(judgement, may_shrink=False) | {"next": None}
        for asked, answer in zip(claim.on, answers):
            require_recording(asked, answer, claim.renamed, must_exist=reference.mode == "compare")

    def same_run(self, workload: Workload) -> Run:
        """vLLM's run of a workload, after asserting that ours is the same."""
        __tracebackhide__ = True
        try:
            answer = self.bench.reference.run(workload)
        except NoReference as why:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"UNTESTED: {why}")
        require_recording(workload, answer, must_exist=self.bench.reference.mode == "compare")
        theirs = answer.run
        divergence = first_divergence(self.bench.ours(workload), theirs)
        assert divergence is None, f"the engines part: {divergence}"
        return theirs

    def _untested(self, record: dict, remedy: str) -> None:
        why = self._note_untested(record, remedy)
        if os.environ.get("CI"):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)

    def _note_untested(self, record: dict, remedy: str) -> str:
        record["verdict"], record["finding"] = str(Verdict.UNTESTED), _only_remedy(remedy)
        return f"UNTESTED: {remedy}"

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
        return describe(judgement, self.bench.package, self.bench.reference, self.item.nodeid + self.bench.options, may_shrink)


def require_recording(asked: Workload | Prompts, answer: Answer, renamed: bool = False, must_exist: bool = False) -> None:
    """Fail unless what was recorded is what the real vLLM has just done; and, if it `must_exist`, unless there is a recording of this version.

    Not in half precision: there the instructions of a processor decide about tenths of a logprob, and so about tokens.
    """
    __tracebackhide__ = True
    if isinstance(asked, Prompts) and asked.limits["dtype"] != "float32":
        return
    recorded = recording(asked, answer.version, answer.device) if answer.mode == "live" else None
    if must_exist and not recorded and (answer.device == "cpu" or not isinstance(asked, Prompts)):
        pytest.fail(f"there is no recording by vLLM {answer.version} to compare with; 'make record' makes one", pytrace=False)
    if recorded:
        differ = first_difference if isinstance(asked, Prompts) else first_divergence
        difference = differ(recorded[0], answer.run, renamed=renamed)
        if difference or not renamed and not isinstance(asked, Prompts) and recorded[0] != answer.run:
            where = f", {'' if difference.step is None else f'at step {difference.step} '}in {difference.what}" if difference else ""
            what = f"\nrecorded: {difference.ours}\nnow:      {difference.theirs}" if difference else ""
            pytest.fail(f"the recording of {recorded[1]} is stale: vLLM does otherwise now{where}; 'make record' renews it{what}", pytrace=False)


def _only_remedy(remedy: str) -> dict:
    return {"headline": "", "step": None, "what": "", "ours": "", "theirs": "", "rows": [], "ours_reasons": [],
            "shrunk": None, "source": None, "next": None, "remedy": remedy}
