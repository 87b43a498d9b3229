"""How a claim about prompts is judged with another engine in impl's place; vLLM's side is recorded."""
from collections.abc import Iterator
from functools import partial
from types import ModuleType

from reference.choose import Reference
from reference.generate import OurGenerator, generate
from spec.bench.agreement import generate_beside
from spec.bench.claim import Claim
from spec.bench.collect import all_claims
from spec.bench.verdict import Judgement, Verdict, judge
from spec.museum.engine_mutants import EngineMutant
from spec.museum.load import load

REFERENCE = Reference("auto")


def notices(exhibit: EngineMutant) -> Judgement | None:
    """How the claim that stands beside an exhibit finds it out; None if it does not. Raises `NoReference`."""
    package = load(exhibit.mutant, with_tensors=True)
    for claim in claims_named(exhibit.noticed_by):
        judgement = judge_engine(claim, package)
        if judgement.verdict is not wanted(claim):
            return judgement
    return None


def claims_named(name: str) -> Iterator[Claim]:
    """A claim, once for each model."""
    found = [claim for claim in all_claims() if claim.name == name]
    if not found:
        raise LookupError(f"there is no claim {name}: correct spec/museum/engine_mutants.py")
    yield from found


def judge_engine(claim: Claim, package: ModuleType) -> Judgement:
    """The verdict on a claim with `package` as our engine."""
    answers = [REFERENCE.run(asked) for asked in claim.on]

    def beside(asked, theirs):
        return generate_beside(theirs, lambda forced: generate(asked, partial(OurGenerator, package, forced=forced), "mutant"))

    return judge(claim, [beside(asked, answer.run) for asked, answer in zip(claim.on, answers)], answers)


def wanted(claim: Claim) -> Verdict:
    return Verdict.REFUTED if claim.misconception else Verdict.CONFIRMED
