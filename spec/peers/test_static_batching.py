"""The baseline is old-fashioned and sound: it serves all it takes, loses no block, and refuses the rest by name."""
from dataclasses import replace
from functools import partial
from random import Random

import pytest

import impl.static_batching
from impl import Request, SamplingParams, SchedulerConfig
from impl.errors import (DuplicateRequestError, EmptyPromptError, InvalidConfigError, PoolTooSmallError, PromptTooLongError,
                         UnknownRequestError)
from reference.play import OurEngine, play
from reference.trace import CRASHED, FINISHED, Run, Step
from reference.workload import RequestSpec, Workload, workload
from spec.fuzz.generator import random_workload
from spec.fuzz.invariants import Invariants

BUILD = partial(OurEngine, impl.static_batching)


def its_own(asked: Workload) -> Workload:
    """A random workload without what the baseline has no door for, and without ids used twice."""
    first = {}
    for spec in asked.requests:
        first.setdefault(spec.request_id.removeprefix("0_"), spec)
    aborts = tuple(action for action in asked.actions if action.name == "abort")
    return replace(asked, requests=tuple(first.values()), actions=aborts).with_config(policy="fcfs")


def names_of(spec: RequestSpec) -> list[str]:
    return [f"{index}_{spec.request_id}" for index in range(spec.n)] if spec.n > 1 else [spec.request_id]


def gone(run: Run) -> set[str]:
    """Who has ended or was aborted."""
    return set(run.finish_reasons) | {name for step in run.steps for name in step.finished}


class Watch:
    """What must hold of the slabs in every step."""

    def __init__(self, asked: Workload):
        self.blocks = set(range(1, asked.config["num_blocks"]))
        self.batch: dict[str, tuple[int, ...]] = {}
        self.admitted: list[str] = []
        self.largest = 0

    def __call__(self, engine, step: Step) -> None:
        if step.new:
            assert not step.running, f"step {step.index}: somebody joins a running batch"
            self.batch = {}
        for share in step.new:
            slab = share.new_block_ids
            assert slab == tuple(range(slab[0], slab[0] + len(slab))), f"step {step.index}: the slab {slab} has holes"
            self.batch[share.request_id] = slab
            self.admitted.append(share.request_id)
        self.largest = max(self.largest, len(self.batch))
        held = [block_id for slab in self.batch.values() for block_id in slab] if step.scheduled_state.running else []
        assert sorted([*held, *step.scheduled_state.free_blocks]) == sorted(self.blocks), f"step {step.index}: lost or given out twice"
        if not step.updated_state.running:
            assert set(step.updated_state.free_blocks) == self.blocks, f"step {step.index}: the batch has ended and keeps blocks"


def watched(asked: Workload) -> tuple[Run, Watch]:
    watch = Watch(asked)
    run = play(asked, BUILD, "static batching", watch)
    assert run.ended != CRASHED, run.error
    return run, watch


@pytest.mark.parametrize("seed", range(150))
def test_random_workloads_lose_nothing(seed):
    asked = its_own(random_workload(Random(seed)))
    run, watch = watched(asked)
    assert run.ended == FINISHED
    Invariants(asked, "static batching").check_run(run)
    arrived = [name for spec in sorted(asked.requests, key=lambda spec: spec.arrives) for name in names_of(spec)]
    assert watch.admitted == [name for name in arrived if name in watch.admitted], "somebody has overtaken"
    refused = {name.removeprefix("request ") for step in run.steps for name in step.refused}
    taken = {name for spec in asked.requests if spec.request_id not in refused for name in names_of(spec)}
    assert taken == gone(run), "somebody was taken and never served"


def test_the_random_workloads_are_not_trivial():
    seen = [watched(its_own(random_workload(Random(seed)))) for seed in range(50)]
    assert sum(watch.largest > 1 for _, watch in seen) > 25
    assert sum(len(watch.admitted) > 5 for _, watch in seen) > 25
    assert sum(gone(run) > set(run.finish_reasons) for run, _ in seen) > 10     # aborts


def test_a_batch_that_keeps_its_slabs_is_noticed(monkeypatch):
    monkeypatch.setattr(impl.static_batching.Slabs, "release_all", lambda slabs: None)
    assert "the batch has ended and keeps blocks" in play(a_batch(), BUILD, "leaking", Watch(a_batch())).error


def test_a_newcomer_in_a_running_batch_is_noticed(monkeypatch):
    asked = a_batch().request("late", prompt=2, arrives=1, max_tokens=1)
    monkeypatch.setattr(impl.static_batching.Scheduler, "schedule",
                        lambda self: impl.SchedulerOutput(self._next_tokens() + self._form_batch(), [], []))
    assert "joins a running batch" in play(asked, BUILD, "open", Watch(asked)).error


def a_batch() -> Workload:
    return workload(num_blocks=9).request("a", prompt=4, max_tokens=1).request("b", prompt=4, max_tokens=3)


def test_memory_and_seats_are_the_batchs():
    """`a` ends in the first step; what it held is free, and `c` is admitted, when `b` has ended too."""
    run, _ = watched(a_batch().request("c", prompt=4, max_tokens=2, arrives=1))
    assert [[(share.request_id, share.num_tokens) for share in step.scheduled] for step in run.steps] == [
        [("a", 4), ("b", 4)], [("b", 1)], [("b", 1)], [("c", 4)], [("c", 1)]]
    assert [len(step.updated_state.free_blocks) for step in run.steps] == [4, 4, 8, 6, 8]


def test_an_aborted_request_leaves_its_slab_to_the_batch():
    run, _ = watched(a_batch().abort("b", at=1))
    assert [len(step.scheduled_state.free_blocks) for step in run.steps] == [4, 8]
    run, _ = watched(a_batch().request("c", prompt=4, max_tokens=9).abort("b", at=1, between=True))
    assert [len(step.updated_state.free_blocks) for step in run.steps[:2]] == [0, 0] and run.finish_reasons["c"] == "length"


@pytest.mark.parametrize("prompt, max_tokens, error, says", [
    (0, 1, EmptyPromptError, "at least one token"),
    (17, 1, PromptTooLongError, "shorten it to 16"),
    (4, 60, PoolTooSmallError, "its slab has 16 blocks, the pool 8"),
    (4, None, PoolTooSmallError, "its slab has 16 blocks, the pool 8")])
def test_what_cannot_be_served_is_refused_by_name(prompt, max_tokens, error, says):
    scheduler = impl.static_batching.Scheduler(SchedulerConfig(
        num_blocks=9, block_size=4, max_model_len=64, max_num_batched_tokens=16, max_num_seqs=4))
    with pytest.raises(error, match=says):
        scheduler.add_request(Request("a", range(3, 3 + prompt), SamplingParams(max_tokens=max_tokens)))
    assert not scheduler.waiting and not scheduler.schedule().scheduled


def test_a_prompt_needs_room_for_a_token():
    scheduler = impl.static_batching.Scheduler(SchedulerConfig(num_blocks=9, block_size=4, max_model_len=8))
    scheduler.add_request(Request("a", range(3, 10)))
    with pytest.raises(PromptTooLongError, match="shorten it to 7"):
        scheduler.add_request(Request("b", range(3, 11)))


def test_ids_are_checked():
    scheduler = impl.static_batching.Scheduler(SchedulerConfig(num_blocks=9, block_size=4, max_model_len=16))
    scheduler.add_request(Request("a", [5]))
    with pytest.raises(DuplicateRequestError, match="choose another id"):
        scheduler.add_request(Request("a", [5]))
    with pytest.raises(UnknownRequestError, match="'b'"):
        scheduler.abort("b")
    scheduler.abort()
    assert not scheduler.waiting and scheduler.schedule().finished_req_ids == ["a"]


def test_urgency_is_refused():
    with pytest.raises(InvalidConfigError, match="knows no urgency"):
        impl.static_batching.Scheduler(SchedulerConfig(num_blocks=9, policy="priority"))
