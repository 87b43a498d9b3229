"""Which claims notice which mutant.

Only the predicates are asked: no run is compared with another, and vLLM is not
needed. What the sentences themselves leave open, they leave open here.
"""
import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import impl
from reference.play import OurEngine, play
from reference.prompts import Prompts
from reference.trace import CRASHED, Run
from spec.bench.claim import ALL_CLAIMS, Claim
from spec.bench.events import events
from spec.bench.known_divergences import KNOWN_DIVERGENCES
from spec.museum.load import load
from spec.museum.mutant import Mutant

SPEC = Path(__file__).parents[1]
FOLDERS = ("scheduler", "kv_cache", "surgery")


class Kill(NamedTuple):
    """A claim that notices a mutant."""

    claim: Claim
    why: str
    outright: bool  # the mutant's run contradicts the sentence; otherwise it breaks down, or a misconception comes true


class Museum:
    """The claims that are true of impl, to be asked of its mutants."""

    def __init__(self):
        self.steps: dict[str, int] = {}     # by workload: how many impl needs
        self.claims: list[Claim] = []
        self.left_out: list[Claim] = []     # false of impl, which is for their own tests to say
        sound = _Player(impl, "impl", self.steps)
        for claim in _claims():
            if claim.name not in KNOWN_DIVERGENCES:
                (self.left_out if _ask(claim, sound.runs(claim)) else self.claims).append(claim)
        self.steps |= {key: len(run.steps) for key, run in sound.played.items()}

    def kills(self, mutant: Mutant) -> Iterator[Kill]:
        """The claims that notice `mutant`, in their order."""
        player = _Player(load(mutant), mutant.name, self.steps)
        for claim in self.claims:
            kill = _ask(claim, player.runs(claim))
            if kill:
                yield kill


class _Player:
    """Plays each workload once through one engine."""

    def __init__(self, package: ModuleType, name: str, steps: dict[str, int]):
        self.package, self.name, self.steps = package, name, steps
        self.played: dict[str, Run] = {}

    def runs(self, claim: Claim) -> list[Run]:
        return [self._run(workload) for workload in claim.on]

    def _run(self, workload) -> Run:
        key = workload.key
        if key not in self.played:
            if key in self.steps:   # a mutant may go round in circles: it gets twice as long as impl needs
                workload = replace(workload, max_steps=min(workload.max_steps, 2 * self.steps[key] + 20))
            self.played[key] = play(workload, partial(OurEngine, self.package), self.name)
        return self.played[key]


def _claims() -> list[Claim]:
    """All claims about the scheduler and the KV cache."""
    modules = [f"spec.{folder}.{path.stem}" for folder in FOLDERS for path in sorted((SPEC / folder).glob("test_*.py"))]
    for module in modules:
        importlib.import_module(module)
    return [claim for claim in ALL_CLAIMS if claim.holds.__module__ in modules and not any(isinstance(asked, Prompts) for asked in claim.on)]


def _ask(claim: Claim, runs: list[Run]) -> Kill | None:
    """What a claim has against the engine of these runs.

    A misconception is false of a sound engine, so it objects when it has become
    true; but not because what it is about does not happen any more.
    """
    crash = next((f"the engine crashes: {run.error}" for run in runs if run.ended == CRASHED), None)
    try:
        objection = claim.objection(runs)
    except Exception as error:
        return Kill(claim, crash or f"the predicate finds no answer: {type(error).__name__}: {error}", outright=False)
    if claim.misconception:
        happened = sum((events(run) for run in runs), Counter())
        if objection is None and all(map(happened.get, claim.about)):
            return Kill(claim, "the misconception comes true", outright=False)
    elif objection:
        return Kill(claim, f"line {objection.line}: {objection.text}", outright=True)
    return Kill(claim, crash, outright=False) if crash else None
