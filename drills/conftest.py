"""`pytest drills/data_structures/ring_buffer` judges the learner's answer; `--answer=` another one.

    --answer=mine           what is in drills/mine (the default)
    --answer=solution       or stub, or wrong_..., by the name of the file
    --answer=mine.cu        what is there in CUDA C++, for drills that have a stub.cu; or stub.cu, solution.cu
    --answer=all            the stub, the solution and all wrong answers, which must fail as they say they do

A wrong answer says in FAILS which tests reject it and, as a regular expression, with which words; it must pass all others.
"""
import re
from pathlib import Path

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers

from drills import cuda
from drills.answers import Isolated, load
from drills.drill import Drill

ISOLATED = {"kernels"}      # tracks whose answers can crash a process

# Not "explain", which writes into a failing case that other numbers fail as well: sometimes, and then over many lines.
hypothesis.settings.register_profile("drills", deadline=None, max_examples=100, suppress_health_check=list(hypothesis.HealthCheck),
                                     phases=[phase for phase in hypothesis.Phase if phase != hypothesis.Phase.explain])
# Whether an answer is right shows without shrinking, and must not depend on luck.
hypothesis.settings.register_profile("all answers", hypothesis.settings.get_profile("drills"), derandomize=True, database=None,
                                     phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])


def pytest_addoption(parser):
    parser.addoption("--answer", default="mine", help="which answer the judges of drills/ judge: mine, solution, stub, wrong_..., all")


def pytest_configure(config):
    judge_all = config.getoption("--answer") == "all"
    hypothesis.settings.load_profile("all answers" if judge_all else "drills")
    if judge_all:   # Hypothesis takes constants out of whatever is loaded: then a judgement would depend on who was judged before
        providers._get_local_constants = lambda: providers._local_constants


def pytest_generate_tests(metafunc):
    if "answer" in metafunc.fixturenames:
        drill = drill_of(metafunc.definition.path)
        chosen = metafunc.config.getoption("--answer")
        every = ["stub", "solution", *(path.stem for path in drill.wrong), *(path.name for path in sorted(drill.folder.glob("*.cu")))]
        names = every if chosen == "all" else [chosen]
        metafunc.parametrize("answer", names, indirect=True, scope="module")


def drill_of(judge: Path) -> Drill:
    return Drill(judge.parent.parent.name, judge.parent.name)


@pytest.fixture(scope="module")
def answer(request):
    """The module that is judged."""
    drill = drill_of(request.path)
    name, is_cuda = request.param.removesuffix(".cu"), request.param.endswith(".cu")
    path = (drill.mine if name == "mine" else drill.folder / f"{name}.py").with_suffix(".cu" if is_cuda else ".py")
    if is_cuda and cuda.lacking():
        pytest.skip(cuda.lacking())
    if not path.exists() and request.param == "mine.cu":
        pytest.skip(f"no answer yet: copy {drill.folder / 'stub.cu'} to {path}")
    if not path.exists() and request.param == "mine":
        pytest.skip(f"no answer yet: python -m drills start {drill.name}")
    assert path.exists(), f"{drill.name} has no answer {path.name}: --answer is mine, all, or one of {', '.join(sorted(each.stem for each in (drill.stub, drill.solution, *drill.wrong)))}"
    if is_cuda:
        cuda.load(path)     # compiled here: that may take longer than a call may
    yield Isolated(path) if drill.track in ISOLATED else load(path)


def _expected(item) -> str | None:
    """How the judged answer has to fail this test: a regular expression. None: it has to pass."""
    name = getattr(item, "callspec", None) and item.callspec.params.get("answer")
    if not name or item.config.getoption("--answer") != "all":
        return None
    drill = drill_of(item.path)
    if name in ("stub", "stub.cu"):
        return rf"{drill.name}: .* is not written yet"
    fails = declared(drill.folder / f"{name}.py") if name.startswith("wrong_") else {}
    return fails.get(item.originalname)


def declared(path: Path) -> dict[str, str]:
    """FAILS of a wrong answer, read without running it."""
    import ast
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "FAILS":
            return ast.literal_eval(node.value)
    raise pytest.UsageError(f"{path}: a wrong answer says in FAILS = {{test: regular expression}} how it fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    expected = _expected(item) if call.when == "call" and not report.skipped else None
    if expected is not None:
        which = item.callspec.params["answer"]
        said = str(call.excinfo.value) + "\n".join(getattr(call.excinfo.value, "__notes__", [])) if call.excinfo else ""
        if not call.excinfo:
            report.outcome, report.longrepr = "failed", f"{which} passes {item.originalname}, which must reject it: /{expected}/"
        elif re.search(expected, said):
            report.outcome = "passed"
        else:
            report.longrepr = f"{which} fails {item.originalname} for another reason than /{expected}/:\n\n{report.longreprtext}"
    return report
