"""`--break-at` and `--watch`, as a person meets them at the terminal, and the parts they are made of."""
import json
import re
import sys
from bdb import BdbQuit
from types import SimpleNamespace

import pytest

from reference.instruments import LONGEST, Instruments, value_of
from reference.source import vllm_folder
from reference.timeline import beside
from reference.trace import Run, State, Step
from reference.workload import workload
from spec.bench import surgery
from spec.bench.test_plugin import lab
from spec.bench.watched import watched_table

needs_vllm = pytest.mark.skipif(vllm_folder() is None, reason="this opens the real vLLM, and there is none here: 'make setup' installs it")
QUEUED = '''
from spec.bench import claim, prompts, workload
one_at_a_time = workload(num_blocks=9, max_num_seqs=1).request("a", prompt=6, max_tokens=3).request("b", prompt=6, max_tokens=2)

@claim("They end by their length.", on=one_at_a_time, about="finish", vllm="v1/core/sched/scheduler.py::Scheduler.schedule")
def test_true(run):
    assert set(run.finish_reasons.values()) == {"length"}
'''
FALSE = '''
@claim("Nobody waits.", on=one_at_a_time, about="finish", vllm="v1/core/sched/scheduler.py::Scheduler.schedule")
def test_false(run):
    assert not any(step.scheduled_state.waiting for step in run.steps)
'''
MODEL = '''
from spec.bench import claim, prompts
said = prompts(model="llama").ask("a", "Elizabeth was", max_tokens=4).ask("b", "It is", arrives=1, max_tokens=4)

@claim("All is said.", on=said, about="greedy", vllm="v1/engine/llm_engine.py::LLMEngine.step")
def test_model(run):
    assert len(run.tokens("b")) == 4
'''


def watched_steps(folder):
    """By claim and step, what the run file says was watched, and how many waited."""
    lines = [json.loads(line) for path in folder.glob("reports/runs/*.jsonl") for line in path.read_text().splitlines()]
    runs = {line["nodeid"].partition("::")[2]: line["runs"][0]["theirs"]["steps"] for line in lines if line["type"] == "claim"}
    return {name: [step.get("watched") for step in steps] for name, steps in runs.items()}


@needs_vllm
def test_the_debugger_stands_inside_the_real_schedule(tmp_path):
    typed = "p len(self.running)\np 'is', type(self).__module__\np 'waits', [r.request_id for r in self.waiting]\nn\nc\n"
    returned, told = lab(tmp_path, QUEUED, "--reference=auto", "--break-at=1", "--watch=len(self.waiting)", "--watch=nobody", stdin=typed)
    assert returned == 0 and "reference live" in told, told
    stops = re.findall(r"> .*/vllm/v1/core/sched/scheduler\.py\((\d+)\)schedule\(\)", told)
    assert len(stops) == told.count("\n-> ") == 2, told     # where it stands, and where it stands after n: nowhere else
    assert "(Pdb) 1\n" in told and "('is', 'vllm.v1.core.sched.scheduler')" in told and "('waits', ['b'])" in told
    rows = [line.split() for line in told.partition("watched: test_claims.py::test_true")[2].splitlines()]
    assert ["0-2", "1", "NameError:"] in [row[:3] for row in rows] and ["3-4", "0", "NameError:"] in [row[:3] for row in rows], told
    steps = watched_steps(tmp_path)["test_true"]
    assert [step["len(self.waiting)"] for step in steps] == ["1", "1", "1", "0", "0"]
    assert {step["nobody"] for step in steps} == {"NameError: name 'nobody' is not defined"}


@needs_vllm
def test_a_step_that_never_comes_is_said(tmp_path):
    returned, told = lab(tmp_path, QUEUED, "--reference=live", "--break-at=5")
    assert returned == 1 and "--break-at=5: this step never came, the run ends with step 4: choose one from 0 to 4" in told, told
    assert "(Pdb)" not in told


@needs_vllm
def test_of_several_claims_the_table_of_those_that_fail(tmp_path):
    returned, told = lab(tmp_path, QUEUED + FALSE, "--reference=live", "--watch", "pool.get_num_free_blocks()")
    assert returned == 1
    assert "watched: test_claims.py::test_false" in told and "watched: test_claims.py::test_true" not in told, told
    assert [step["pool.get_num_free_blocks()"] for step in watched_steps(tmp_path)["test_true"]] == ["6", "6", "6", "6", "6"]


@needs_vllm
def test_a_claim_with_a_model_is_opened_as_well(tmp_path):
    returned, told = lab(tmp_path, MODEL, "--reference=live", "--break-at=1", "--watch=len(running)",
                         stdin="p 'here', len(self.running), len(self.waiting)\nc\n")
    assert returned == 0 and "('here', 1, 1)" in told and "scheduler.py(" in told, told
    assert [step["len(running)"] for step in watched_steps(tmp_path)["test_model"]] == ["1", "2", "2", "2", "1"]


@needs_vllm
def test_which_claim_to_stop_in_must_be_clear(tmp_path):
    returned, told = lab(tmp_path, QUEUED + FALSE, "--reference=live", "--break-at=0")
    assert returned == 4 and "stops in the run of one claim, and 2 were selected" in told, told


@pytest.mark.parametrize(("args", "words"), [
    (["--break-at=soon"], "'soon' is not a step"), (["--break-at=-1"], "'-1' is not a step"),
    (["--watch", "len(self"], "'len(self' is not an expression of Python"), (["--watch", "x = 1"], "is not an expression"),
], ids=["word", "negative", "unclosed", "statement"])
def test_what_cannot_be_read_is_refused_before_anything_runs(tmp_path, args, words):
    returned, told = lab(tmp_path, QUEUED, *args)
    assert returned == 4 and words in told and "collected" not in told, told


@pytest.mark.parametrize(("options", "installed", "words"), [
    ({"break_at": 1, "numprocesses": 2}, "0.32.0", "--break-at=1 looks into the vLLM of this process: leave out -n"),
    ({"watch": ["1"], "reference": "recorded"}, "0.32.0", "leave out --reference=recorded"),
    ({"watch": ["1"], "reference": "record"}, "0.32.0", "leave out --reference=record"),
    ({"break_at": 1}, None, "none is installed: run 'make spec' once"),
], ids=["xdist", "recorded", "record", "no vLLM"])
def test_where_there_is_nothing_to_open_it_says_so(monkeypatch, options, installed, words):
    monkeypatch.setattr(surgery, "installed_version", lambda: installed)
    option = SimpleNamespace(**{"break_at": None, "watch": [], "reference": "auto"} | options)
    with pytest.raises(pytest.UsageError) as refusal:
        surgery.pytest_configure(SimpleNamespace(option=option))
    assert words in str(refusal.value)


def test_a_breakpoint_that_is_switched_off_is_said(monkeypatch):
    monkeypatch.setattr(surgery, "installed_version", lambda: "0.32.0")
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")
    with pytest.raises(pytest.UsageError, match="PYTHONBREAKPOINT=0 switches that off: unset it"):
        surgery.pytest_configure(SimpleNamespace(option=SimpleNamespace(break_at=1, watch=[], reference="auto")))


@pytest.mark.parametrize("quit", [BdbQuit(), pytest.exit.Exception("Quitting debugger")], ids=["pdb", "pytest"])
def test_who_quits_in_the_debugger_quits(monkeypatch, quit):
    """The player notes errors as the engine's own; this is none."""
    def hook():
        raise quit
    monkeypatch.setattr(sys, "breakpointhook", hook)
    with pytest.raises(KeyboardInterrupt):
        surgery.stop_inside(lambda: pytest.fail("vLLM went on"))


class Fake:
    """As much of a scheduler as the names need."""
    running, waiting, kv_cache_manager = ["a"], [], SimpleNamespace(block_pool="the pool")

    def schedule(self):
        return "its output"


def test_each_name_means_what_it_says():
    fake, watched = Fake(), []
    names = ("self is scheduler", "pool", "running", "waiting", "output", "1/0")
    Instruments(names).attach(fake, watched)
    assert fake.schedule() == "its output"
    assert watched == [dict(zip(names, ("True", "'the pool'", "['a']", "[]", "'its output'", "ZeroDivisionError: division by zero")))]


def test_it_stops_at_its_step_of_each_run():
    instruments, stops = Instruments(stop_at=2), []
    instruments.stop = lambda schedule: stops.append("here") or schedule()
    for run in range(2):
        fake = Fake()
        instruments.attach(fake, [])
        before = [fake.schedule() for _ in range(2)]
        assert len(stops) == run and fake.schedule() == before[0] == "its output" and len(stops) == run + 1
    assert instruments.stopped and instruments.most_steps == 3


def test_a_long_value_is_cut():
    assert len(value_of("'x' * 10_000", {})) == LONGEST + 1


def test_what_was_watched_makes_no_difference_between_engines():
    """And it is told where both runs are told as one."""
    asked = workload(num_blocks=5).request("a", prompt=6)
    nothing = State((), (), (1, 2), ())
    step = Step(0, (), (), (), (), (), nothing, (), nothing, reasons=("because",))
    ours, theirs = Run(asked, "impl", [step]), Run(asked, "vllm", [Step(0, (), (), (), (), (), nothing, (), nothing)], watched=[{"x": "1"}])
    told = beside(ours, theirs)
    assert told["ours"] is None and told["theirs"]["steps"][0]["watched"] == {"x": "1"} and told["theirs"]["steps"][0]["reasons"] == ["because"]
    assert Run(asked, "vllm") == Run(asked, "vllm", watched=[{"x": "1"}])


def test_the_table_has_a_row_for_each_stretch():
    steps = [{"watched": {"x": value, "y": "1"}} for value in ("a", "a", "b", "z" * 99)]
    assert watched_table([{"theirs": {"steps": steps}}], ("x", "y")).splitlines() == [
        "step  x" + " " * 49 + "y", "0-1   a" + " " * 49 + "1", "2     b" + " " * 49 + "1", "3     " + "z" * 47 + "…  1"]
