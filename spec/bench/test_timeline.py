"""A run as plain data says all that the run says."""
import json
from dataclasses import replace
from functools import partial

import pytest

import impl
import impl.naive
from reference import cassette
from reference.choose import Reference
from reference.play import OurEngine, play
from reference.source import excerpt, vllm_folder
from reference.timeline import beside, timeline
from spec.bench.divergence import Divergence
from spec.bench.finding import _reasons
from spec.scheduler.test_preemption import crowded

@pytest.fixture(scope="module")
def runs():
    """vLLM's run of a crowded pool, ours, and that of an engine that knows neither chunks nor the cache."""
    theirs = Reference("auto").run(crowded).run
    return theirs, *(play(crowded, partial(OurEngine, engine), engine.__name__) for engine in (impl, impl.naive))


def test_every_decision_can_be_read_back(runs):
    for run in runs:
        told = json.loads(json.dumps(timeline(run)))
        assert cassette.read_steps(told["steps"]) == [replace(step, reasons=()) for step in run.steps]
        assert [step.get("reasons", []) for step in told["steps"]] == [list(step.reasons) for step in run.steps]
        assert told["limits"]["num_blocks"] == 7 and [request["id"] for request in told["requests"]] == ["a", "b", "c"]
        assert told["requests"][2] == {"id": "c", "prompt": "c:2", "arrives": 5, "max_tokens": 2}


def test_the_same_decisions_are_told_once_and_with_our_reasons(runs):
    theirs, ours, naive = runs
    assert theirs.preemptions
    same, other = beside(ours, theirs), beside(naive, theirs)
    assert same["ours"] is None and same["theirs"]["engine"] == "vllm"
    assert any("preempted" in reason for step in same["theirs"]["steps"] for reason in step.get("reasons", []))
    assert other["ours"]["engine"] == "impl.naive" and other["theirs"] == timeline(theirs)


@pytest.mark.skipif(vllm_folder() is None, reason="vLLM is not installed, so there is no source to show: 'make setup' installs it")
def test_an_excerpt_is_the_definition_with_its_line():
    found = excerpt("v1/core/sched/utils.py::check_stop")
    lines = (vllm_folder() / "v1/core/sched/utils.py").read_text().splitlines()
    assert found["text"].startswith("def check_stop(") and lines[found["line"] - 1] == found["text"].splitlines()[0]
    assert excerpt("v1/core/sched/utils.py::nothing") is None and excerpt("nowhere.py::x") is None



def test_reasons_are_told_for_decisions_and_for_nothing_else(runs):
    """Why somebody was admitted does not explain in which order blocks were given back."""
    step = next(step for step in runs[1].steps if step.preempted)
    assert _reasons(Divergence(step.index, "scheduled", "", ""), runs[1].steps) == list(step.reasons) != []
    assert _reasons(Divergence(step.index, "free_blocks after update_from_output()", "", ""), runs[1].steps) == []
