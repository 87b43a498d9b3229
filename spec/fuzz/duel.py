"""One random workload through both engines: what is wrong, if anything, and what happened."""
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import impl
from reference.play import OurEngine, play
from reference.trace import Run
from reference.vllm_scheduler import VllmEngine
from reference.workload import Workload
from spec.bench.divergence import first_divergence
from spec.bench.events import events
from spec.bench.shrink import shrink
from spec.fuzz.invariants import InvariantError, Invariants


def duel(workload: Workload) -> tuple[str | None, Run | None]:
    """What is wrong (None if nothing is), and vLLM's run."""
    try:
        ours = _watched(workload, partial(OurEngine, impl), "impl")
        theirs = _watched(workload, VllmEngine, "vllm")
    except InvariantError as error:
        return str(error), None
    divergence = first_divergence(ours, theirs)
    return (str(divergence) if divergence else None), theirs


def smallest(workload: Workload) -> Workload:
    """The smallest workload that is still wrong."""
    return shrink(workload, lambda candidate: duel(candidate)[0] is not None)


def _watched(workload: Workload, build: Callable, engine: str) -> Run:
    invariants = Invariants(workload, engine)
    run = play(workload, build, engine, watch=invariants)
    if run.error and run.error.startswith("InvariantError"):
        raise InvariantError(run.error)
    invariants.check_run(run)
    return run


@dataclass
class Tally:
    """What a campaign has seen."""

    workloads: int = 0
    events: Counter = field(default_factory=Counter)        # workloads in which an event happened
    endings: Counter = field(default_factory=Counter)
    steps: Counter = field(default_factory=Counter)         # workloads by their number of steps
    requests: Counter = field(default_factory=Counter)      # workloads by their number of requests
    wrong: list[tuple[str, str]] = field(default_factory=list)      # what, and the file that keeps it

    def add(self, workload: Workload, theirs: Run) -> None:
        self.workloads += 1
        self.events.update(dict.fromkeys(events(theirs), 1))
        self.endings[theirs.ended] += 1
        self.steps[len(theirs.steps)] += 1
        self.requests[len(workload.requests)] += 1

    def merge(self, other: "Tally") -> None:
        self.workloads += other.workloads
        for name in ("events", "endings", "steps", "requests"):
            getattr(self, name).update(getattr(other, name))
        self.wrong += other.wrong


def median(histogram: Counter) -> int:
    """The lower median of values counted by how often they occurred."""
    half, seen = (sum(histogram.values()) + 1) // 2, 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= half:
            return value
    return 0
