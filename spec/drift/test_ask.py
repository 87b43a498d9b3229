"""What a release says to a sentence, by runs of our own engine: whose runs they are makes no difference to the rule."""
from functools import partial
from types import SimpleNamespace

import pytest

import impl
import impl.naive
from reference.play import OurEngine, play
from reference.vllm_scheduler import unknown_limits
from spec.bench import workload
from spec.bench.claim import Claim
from spec.drift.ask import ABSENT, ERROR, FAILS, HOLDS, VACUOUS, ask, answer, parting
from spec.drift.walk import walked

crowded = workload(num_blocks=7, block_size=4).request("a", prompt=8, max_tokens=9).request("b", prompt=8, max_tokens=9)


def run(package=impl, name="impl"):
    return play(crowded, partial(OurEngine, package), name)


def asked(holds, about=("admission",), renamed=False):
    return Claim("It does.", (crowded,), about, "v1/core/sched/scheduler.py::Scheduler.schedule", holds, renamed=renamed)


def says(run):
    assert run.preemptions == ["b"]


def denies(run):
    assert not run.preemptions, "somebody was preempted"


def stumbles(run):
    next(step for step in run.steps if step.index > 1000)


@pytest.mark.parametrize("holds, told", [(says, (HOLDS, "")), (denies, (FAILS, "somebody was preempted")), (stumbles, (ERROR, "StopIteration"))])
def test_the_predicate_is_asked_of_the_release_alone(holds, told):
    assert answer(asked(holds), [run()]) == told


@pytest.mark.parametrize("holds, would", [(says, "would hold"), (denies, "would fail"), (stumbles, "has no answer")])
def test_what_it_is_about_must_have_happened(holds, would):
    assert answer(asked(holds, about=("preemption", "abort")), [run()]) == (VACUOUS, f"there was no abort; by itself the sentence {would}")


def test_where_impl_parts_is_told_apart_from_the_sentence():
    assert parting(asked(says), [run()], [run()]) == ""
    assert parting(asked(says), [run(impl.naive, "naive")], [run()]).startswith("step 0, ")


class Played:
    """Engines that play what they are given."""

    def __init__(self, ours, theirs):
        self.pair = ours, theirs

    def runs(self, _):
        return self.pair


@pytest.mark.parametrize("unknown, ours, told", [
    ([], run, [HOLDS]),
    ([], partial(run, impl.naive, "naive"), [HOLDS, "", "step 0, scheduled"]),
    (["max_num_active_seqs"], run, [ABSENT, "there is no max_num_active_seqs"]),
], ids=["the same", "impl parts", "a limit it does not have"])
def test_an_answer_is_a_verdict_why_and_where_impl_parts(monkeypatch, unknown, ours, told):
    monkeypatch.setattr("spec.drift.ask.unknown_limits", lambda _: unknown)
    assert ask(asked(says), Played(ours(), run())) == told


def test_an_older_release_has_fewer_limits(monkeypatch):
    """Some are arguments of vLLM's `SchedulerConfig` without being fields, so its signature is asked."""
    class SchedulerConfig:
        def __init__(self, max_model_len, is_encoder_decoder, max_num_batched_tokens=1, max_num_seqs=1):
            pass
    monkeypatch.setattr("reference.vllm_scheduler._vllm", lambda: SimpleNamespace(SchedulerConfig=SchedulerConfig))
    limits = {"num_blocks": 9, "block_size": 4, "enable_prefix_caching": True, "max_model_len": 8, "max_num_seqs": 2}
    assert unknown_limits(SimpleNamespace(config=limits)) == []
    assert unknown_limits(SimpleNamespace(config=limits | {"watermark": 0.5, "policy": "fcfs"})) == ["policy", "watermark"]


def test_walking_notes_the_lines_of_the_scheduler_and_no_others(tmp_path):
    found = {}
    for file in ("v1/core/pool.py", "v1/sample/sampler.py"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("def decide(large):\n    if large:\n        return 1\n    return 2\n")
        exec(compile((tmp_path / file).read_text(), str(tmp_path / file), "exec"), found.setdefault(file, {}))
    assert walked(lambda: [each["decide"](False) for each in found.values()], tmp_path) == {"v1/core/pool.py": [2, 4]}
