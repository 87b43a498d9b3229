"""Runs for pages to show, as they really are: real claims, judged by the bench against vLLM's recordings, by a sound or a broken engine."""
import json
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import impl
from reference.choose import Reference
from reference.concepts import map_as_data
from reference.play import OurEngine, play
from reference.timeline import beside
from reference.trace import Run as Played
from reference.workload import Workload
from reports.run_file import Run
from spec.bench.plugin import Bench, BenchOfTest
from spec.museum.load import load
from spec.museum.mutants import MUTANTS
from spec.scheduler import test_chunked_prefill, test_preemption

BROKEN = "first-victim"     # the victim of a preemption is taken from the front
THEMES = (test_preemption, test_chunked_prefill)
VICTIM = "spec/scheduler/test_preemption.py::test_the_last_admitted_is_the_victim"


@cache
def events(broken: bool) -> list[dict]:
    """The events of a run of two themes."""
    package = broken_engine() if broken else impl
    bench = Bench(Reference("recorded", None), package, "impl")
    tests = [test for module in THEMES for test in vars(module).values() if hasattr(test, "claims")]
    claims = [judged(bench, claim, f"{test.__module__.replace('.', '/')}.py::{test.__name__}") for test in tests for claim in test.claims]
    sources = {claim["source"]["of"]: {"type": "source", **claim["source"]} for claim in claims if claim.get("source")}
    told = [{"type": "concepts", "themes": map_as_data()}, *sources.values(), *({name: value for name, value in claim.items() if name != "source"} for claim in claims)]
    return json.loads(json.dumps(told))     # as they come out of a run file


def judged(bench: Bench, claim, nodeid: str) -> dict:
    """The event that pytest would have left."""
    item, outcome, longrepr = SimpleNamespace(nodeid=nodeid), "passed", ""
    try:
        BenchOfTest(bench, item).judge(claim)
    except pytest.fail.Exception as failure:
        outcome, longrepr = "failed", str(failure)
    return {"type": "claim", "nodeid": nodeid, "outcome": outcome, "duration": 0.001, "longrepr": longrepr, **item.lab_claim}


def two_engines(workload: Workload, bug: str = BROKEN) -> tuple[Played, Played]:
    """A broken engine and ours on any workload. Ours stands in for vLLM, where nobody has recorded what vLLM does."""
    return play(workload, partial(OurEngine, broken_engine(bug)), "impl"), play(workload, partial(OurEngine, impl), "vllm")


def claim_on(asked: Workload, nodeid: str, /, bug: str = BROKEN, **more) -> dict:
    """A claim that failed on this workload."""
    victim = next(event for event in events(True) if event.get("nodeid") == VICTIM)
    runs = json.loads(json.dumps([beside(*two_engines(asked, bug))]))
    return victim | {"nodeid": nodeid, "runs": runs, "finding": victim["finding"] | {"run": 0, "step": None, "rows": []}} | more


@cache
def broken_engine(bug: str = BROKEN) -> ModuleType:
    return load(next(mutant for mutant in MUTANTS if mutant.name == bug))


def run(*more: dict, broken: bool = True, path: Path = Path("run.jsonl"), started: str = "2026-11-23T02:11:00+00:00") -> Run:
    """A complete run of both themes, and of whatever else is given."""
    header = {"type": "header", "format": 1, "started": started, "command": ["pytest", "spec/scheduler"], "folder": ".", "python": "3.11.7",
              "machine": {"platform": "Linux", "architecture": "x86_64", "cpus": 2},
              "lab": {"impl": "impl", "reference": {"mode": "recorded", "version": "0.32.0", "date": "2026-11-22"}}}
    return Run(path, header, [*events(broken), *more], {"type": "footer", "ended": started, "exit_status": int(broken)})

