"""The verdict on a claim: what vLLM says of it, and whether our engine decided the same."""
import enum
from collections import Counter
from dataclasses import dataclass

from reference.choose import Answer
from reference.generate import Generation
from reference.trace import Run
from spec.bench.agreement import first_difference
from spec.bench.claim import Claim
from spec.bench.divergence import Divergence, first_divergence
from spec.bench.events import events


class Verdict(enum.StrEnum):
    CONFIRMED = "CONFIRMED"     # true of vLLM, and our engine decided the same
    REFUTED = "REFUTED"         # false of vLLM: the belief was wrong
    DIVERGED = "DIVERGED"       # our engine decided otherwise than vLLM
    VACUOUS = "VACUOUS"         # what the claim is about never happened
    UNTESTED = "UNTESTED"       # nobody was here to ask


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on. `which` is the index of the workload that shows it."""

    claim: Claim
    verdict: Verdict
    ours: list[Run]
    theirs: list[Run]
    answer: Answer
    objection: str | None = None        # of the predicate: to vLLM's run, or, if DIVERGED, to ours
    divergence: Divergence | None = None
    which: int = 0


def judge(claim: Claim, ours: list[Run], answers: list[Answer]) -> Judgement:
    """Weigh a claim. The predicate is asked of each engine by itself, then the decisions are compared."""
    theirs = [answer.run for answer in answers]

    def judgement(verdict: Verdict, **grounds) -> Judgement:
        return Judgement(claim, verdict, ours, theirs, answers[0], **grounds)

    happened = sum((events(run) for run in theirs), Counter())
    missing = [event for event in claim.about if not happened[event]]
    if missing:
        errors = "".join(f"; vLLM's run {run.ended}: {run.error}" for run in theirs if run.error)
        return judgement(Verdict.VACUOUS, objection=f"it is about {', '.join(claim.about)}, "
                         f"but in vLLM's run there was no {', no '.join(missing)}{errors}")
    objection = claim.objection(theirs)
    for which, (our_run, their_run) in enumerate(zip(ours, theirs)):
        divergence = compare(claim, our_run, their_run)
        if divergence:
            return judgement(Verdict.DIVERGED, divergence=divergence, which=which)
    our_objection = claim.objection(ours)
    if (objection is None) != (our_objection is None):
        return judgement(Verdict.DIVERGED, objection=our_objection.text if our_objection else "the predicate is true of our run and false of vLLM's")
    if objection is not None:
        return judgement(Verdict.REFUTED, objection=objection.text)
    return judgement(Verdict.CONFIRMED)


def compare(claim: Claim, ours: Run, theirs: Run) -> Divergence | None:
    """The first difference that counts: between decisions, and between what was generated."""
    differ = first_difference if isinstance(theirs, Generation) else first_divergence
    return differ(ours, theirs, renamed=claim.renamed)
