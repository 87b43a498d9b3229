"""The soak sees what is lost and what grows, and is content with an engine that loses nothing. The whole of it: `make soak`."""
from importlib import import_module

import pytest

from reference.experiments.record import Record
from reference.experiments.soak import build, tell
from reference.experiments.soak_log import Log
from reference.experiments.soak_verdict import GROWS, HOLDS, growth, growths


def start(path, seed=0, overlapped=True):
    pytest.importorskip("torch", reason="a model decodes with torch, and there is none here: 'make setup' installs it")
    from reference.experiments.soak_run import Soak
    return Soak(build("tiny", "cpu", overlapped), seed, Log(path), every=0.2)


@pytest.fixture
def soak(tmp_path):
    return start(tmp_path / "soak.jsonl")


def wrong(soak, num_rounds=1) -> str:
    """What is found to be wrong in so many rounds, and in one of a few steps."""
    soak.run(lambda: soak.num_rounds <= num_rounds)
    return "\n".join(line["what"] for line in soak.log.read("wrong"))


def every(number, method, instead):
    """A method that does something else every so often."""
    calls = iter(range(1, 10**9))
    return lambda *arguments: (method if next(calls) % number else instead)(*arguments)


def of_impl(where):
    file, name = where.split(".")
    return getattr(import_module(f"impl.{file}"), name)


@pytest.mark.parametrize("overlapped", (True, False))
def test_an_engine_that_loses_nothing(tmp_path, overlapped):
    soak = start(tmp_path / "soak.jsonl", 1, overlapped)
    assert wrong(soak, 2) == ""
    record = Record("soak", "Is anything lost?")
    assert tell(record, soak.log)
    done = dict(record.tables[1]["rows"])
    assert all(done[what] for what in ("done", "aborted", "ended with an error", "refused", "sentinels", "resumed")), done
    assert {"Blocks", "Time of a step", "Memory of the process"} <= {plot["title"] for plot in record.plots}


def test_a_seed_asks_the_same_again(tmp_path):
    told = []
    for name in "ab":
        soak = start(tmp_path / name, 5)
        soak.run(lambda: soak.num_rounds < 2)
        told.append([{name: line[name] for name in ("steps", *soak.ledger.counts)} for line in soak.log.read("drained")])
    assert told[0] == told[1] and told[0][0]["done"] > 20


@pytest.mark.parametrize("where, name, number, instead, seen", [
    ("block_manager.BlockManager", "free", 40, lambda self, request: self.block_tables.pop(request.request_id, None), "blocks are wrong"),
    ("scheduler.Scheduler", "_finish", 10, lambda self, request: (self.block_manager.free(request), self.requests.pop(request.request_id)), "model_runner.block_tables.row has"),
    ("sampler.Sampler", "forget", 2, lambda self, request_ids: None, "model_runner.sampler.generators has"),
    ("output_processor.OutputProcessor", "abort_request", 9, lambda self, request_id: {}, "was aborted: [] came back"),
    ("scheduler.Scheduler", "update_from_output", 50, lambda self, output, sampled: None, "TypeError was raised in"),
    ("input_processor.InputProcessor", "require_types", 1, None, "InvalidRequestError was to be raised, and it was"),
], ids=["blocks are never free", "the runner is not told", "seeds are kept", "an abort forgets", "a step fails", "the door is open"])
def test_a_planted_fault_is_seen(soak, monkeypatch, where, name, number, instead, seen):
    owner = of_impl(where)
    monkeypatch.setattr(owner, name, every(number, getattr(owner, name), instead or (lambda *arguments: None)))
    assert seen in wrong(soak)


def test_another_token_in_company_is_seen(soak, monkeypatch):
    """As of a kernel that is wrong for some batch sizes."""
    sampler = of_impl("sampler.Sampler")
    sample = sampler.sample

    def wrongly(self, logits, requests):
        if len(requests) == 5:
            logits = logits.roll(1, -1)
        return sample(self, logits, requests)

    monkeypatch.setattr(sampler, "sample", wrongly)
    assert "when it was alone" in wrong(soak)


def test_an_output_that_is_lost_is_seen(soak, monkeypatch):
    processor = of_impl("output_processor.OutputProcessor")
    process = processor.process
    monkeypatch.setattr(processor, "process", lambda self, outputs, sampled: [told for told in process(self, outputs, sampled) if told.request_id[-2:] != "17"])
    assert "never told that they had finished" in wrong(soak)


@pytest.mark.parametrize("leaks", (True, False))
def test_what_grows_where_nobody_looks_is_seen(soak, monkeypatch, leaks):
    """A list that belongs to no engine: only the pieces of memory tell."""
    step, kept = soak.engine.step, []
    if leaks:
        monkeypatch.setattr(soak.engine, "step", lambda: kept.append([object() for _ in range(4)]) or step())
    for _ in range(12):
        for _ in range(20):
            soak.turn(0.5)
        soak.drain()
    assert soak.log.read("wrong") == []
    verdicts = {row[0]: row[-1] for row in growths([], soak.log.read("drained"))}
    assert verdicts["pieces of memory in Python, drained"] == (GROWS if leaks else HOLDS)


def test_a_kernel_that_is_compiled_late_is_no_leak_and_one_that_is_compiled_for_ever_is():
    def pieces(compiled):
        others = {name: 1.0 for name in ("process MB", "device MB", "cached blocks", "step alone p50 ms", "cpu ms a step", "step p50 ms", "step p99 ms", "step max ms",
                                         "first token p50 ms", "first token p99 ms")}
        return growths([], [others | {"compiled kernels": number, "objects": 5000 * number} for number in compiled])[0]

    assert pieces([3] * 6 + [4] * 8)[-1] == HOLDS
    assert pieces(range(16))[-1] == GROWS


def test_what_is_called_growing():
    """The first quarter is warm-up; and what is up and down does not grow."""
    assert growth("x", [0, 50, 100, 100, 101, 99, 100, 100], (0.0, 2.0)) == ["x", 100, 100, 2.0, HOLDS]
    assert growth("x", [100, 100, 100, 100, 102, 104, 106, 108], (0.0, 2.0)) == ["x", 100, 106, 2.0, GROWS]
    assert growth("x", [90, 90, 100, 300, 300, 300, 300, 110], (0.25, 0.1), min) == ["x", 100, 110, 25, HOLDS], "a busy machine"
    assert growth("x", [90, 90, 100, 300, 100, 130, 300, 300], (0.25, 0.1), min)[-1] == GROWS
    assert growth("x", [100] * 5 + [150] * 3, (0.5, 2.0))[-1] == HOLDS, "half as much again is allowed"
    assert growth("x", [100, 200, 300], (0.0, 2.0))[-1] == "too few to say" and growth("x", [None] * 9, (0.0, 2.0))[1] is None
