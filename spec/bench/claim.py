"""A claim: one sentence about vLLM, the workload it is about, and a test of its truth.

    @claim("A step that preempts admits nobody from the waiting queue.",
           on=crowded, about="preemption", vllm="v1/core/sched/scheduler.py::Scheduler.schedule")
    def test_a_preempting_step_admits_nobody(run):
        assert all(not step.admitted for step in run.steps if step.preempted)

The body is a predicate on a run. It is asked of vLLM's run and of ours, each by
itself; that both made the same decisions is checked without being asked for.
"""
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pytest

from reference.prompts import MODELS, Prompts
from reference.trace import Run
from reference.workload import Workload


@dataclass(frozen=True)
class Claim:
    sentence: str
    on: tuple[Workload | Prompts, ...]      # the body gets one run for each
    about: tuple[str, ...]          # events that must have happened, or the claim is vacuous
    vllm: str                       # the source it is about: file::name, from vLLM's package folder
    holds: Callable[..., None]      # raises AssertionError if the runs contradict the sentence
    misconception: bool = False     # a widespread belief: passes when it is refuted
    renamed: bool = False           # block ids are compared up to renaming
    build: str | None = None        # "cpu" or "cuda", if it is about one of vLLM's builds; the other is not asked

    @cached_property
    def name(self) -> str:
        return self.holds.__name__

    @cached_property
    def theme(self) -> str:
        """Folder and file, such as scheduler/preemption."""
        folder, _, module = self.holds.__module__.rpartition(".")
        return f"{folder.rpartition('.')[2]}/{module.removeprefix('test_')}"

    def objection(self, runs: list[Run]) -> "Objection | None":
        """Why the runs contradict the sentence; None if they do not. An error in the body stays an error."""
        try:
            self.holds(*runs)
        except AssertionError as error:
            lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is self.holds.__code__]
            return Objection(str(error) or "the predicate is false", lines[-1])
        return None


class Objection(NamedTuple):
    """What a predicate says when it is false, and the line that says it."""

    text: str
    line: int


ALL_CLAIMS: list[Claim] = []


def claim(sentence: str, *, on: Workload | Prompts | tuple[Workload | Prompts, ...], about: str | tuple[str, ...], vllm: str,
          misconception: bool = False, renamed: bool = False, build: str | None = None) -> Callable[[Callable[..., None]], Callable]:
    """Make a test of a predicate. `about`: event names, see `spec/bench/events.py`.

    Prompts that name no model make one test for each of `MODELS`.
    """
    on = on if isinstance(on, tuple) else (on,)

    def make_test(holds: Callable[..., None]) -> Callable:
        made = {model: Claim(sentence, asked, (about,) if isinstance(about, str) else tuple(about), vllm, holds, misconception, renamed, build)
                for model, asked in _by_model(on).items()}
        ALL_CLAIMS.extend(made.values())

        def test(bench):
            bench.judge(made[None])

        def test_of_model(bench, model):
            bench.judge(made[model])

        test = test if None in made else pytest.mark.parametrize("model", made)(test_of_model)
        test.__name__, test.__qualname__, test.__module__ = holds.__name__, holds.__qualname__, holds.__module__
        test.__doc__, test.claims = sentence, list(made.values())
        test.__code__ = test.__code__.replace(co_firstlineno=holds.__code__.co_firstlineno, co_filename=holds.__code__.co_filename)
        return test

    return make_test


def _by_model(on: tuple[Workload | Prompts, ...]) -> dict[str | None, tuple[Workload | Prompts, ...]]:
    """What is asked, by model if it is left open; by None if it is not."""
    if not any(isinstance(asked, Prompts) and asked.model is None for asked in on):
        return {None: on}
    return {model: tuple(asked.of(model) if isinstance(asked, Prompts) and asked.model is None else asked for asked in on) for model in MODELS}
