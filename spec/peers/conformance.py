"""How far an engine is vLLM, claim by claim, from recordings: two questions that are never mixed up.

Are its *decisions* vLLM's, in every step and block id? And is the claim's *sentence*
true of it? An engine may hold to a rule and still decide otherwise in detail.
"""
import enum
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from reference.choose import NoReference, Reference
from reference.play import OurEngine, play
from reference.trace import CRASHED, CUT, REFUSED, STALLED, Run
from spec.bench.claim import Claim
from spec.bench.events import events
from spec.bench.verdict import compare
from spec.bench.collect import all_claims

FOLDERS = ("scheduler", "kv_cache")


class Outcome(enum.StrEnum):
    """What became of a claim's sentence in an engine. A misconception has to be as false as it is of vLLM."""

    TRUE = "true of it, as of vLLM"
    FALSE = "not true of it"
    NEVER = "what it is about never happens"
    REFUSES = "it refuses what vLLM takes"
    BREAKS = "it crashes, hangs, or gives no answer"


@dataclass(frozen=True)
class Finding:
    """One claim, asked of one engine."""

    claim: Claim
    same: bool          # every decision is vLLM's
    outcome: Outcome
    why: str = ""       # if it is not TRUE


def claims() -> list[Claim]:
    """All claims about the scheduler and the KV cache."""
    return [claim for claim in all_claims() if claim.theme.partition("/")[0] in FOLDERS]


def recorded(asked: Iterable[Claim], reference: Reference) -> Iterator[tuple[Claim, list[Run]]]:
    """Those claims whose workloads were recorded, with vLLM's runs."""
    for claim in asked:
        try:
            yield claim, [reference.run(workload).run for workload in claim.on]
        except NoReference:
            continue


def conformance(package: ModuleType, asked: Iterable[tuple[Claim, list[Run]]]) -> list[Finding]:
    """Ask every claim of the engine in `package`."""
    build, played = partial(OurEngine, package), {}
    for workload in {workload.key: workload for claim, _ in asked for workload in claim.on}.values():
        played[workload.key] = play(workload, build, package.__name__)
    return [weigh(claim, [played[workload.key] for workload in claim.on], theirs) for claim, theirs in asked]


def weigh(claim: Claim, ours: list[Run], theirs: list[Run]) -> Finding:
    """Compare the decisions, and ask the sentence of both runs, each by itself."""
    same = all(compare(claim, *pair) is None for pair in zip(ours, theirs))
    for run, real in zip(ours, theirs):
        if run.ended != real.ended and run.ended in (CRASHED, STALLED, CUT):
            return Finding(claim, same, Outcome.BREAKS, f"{run.ended} after {len(run.steps)} steps{f': {run.error}' if run.error else ''}")
        if refusal := _refusal(run, real):
            return Finding(claim, same, Outcome.REFUSES, refusal)
    happened = sum(map(events, ours), Counter())
    if missing := [event for event in claim.about if not happened[event]]:
        return Finding(claim, same, Outcome.NEVER, f"there is no {', no '.join(missing)}")
    try:
        objection = claim.objection(ours)
    except Exception as error:      # a predicate that looks for a step which is not there
        return Finding(claim, same, Outcome.BREAKS, f"the predicate finds no answer: {type(error).__name__}: {error}")
    if (objection is None) is (claim.objection(theirs) is None):
        return Finding(claim, same, Outcome.TRUE)
    return Finding(claim, same, Outcome.FALSE, objection.text if objection else "the misconception is true of it")


def _refusal(run: Run, real: Run) -> str | None:
    """What the engine said to something that vLLM takes."""
    if run.ended == REFUSED and real.ended != REFUSED:
        return run.error
    taken = Counter(name for step in run.steps for name in step.refused)
    taken.subtract(name for step in real.steps for name in step.refused)
    refused = {name for name, count in taken.items() if count > 0}
    return next((error for step in run.steps for error in step.errors if error.partition(":")[0] in refused), None)
