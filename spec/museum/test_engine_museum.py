"""Each bug of a whole engine is noticed by the claim that stands beside it."""
from functools import partial

import pytest

import impl
from reference.choose import NoReference, Reference
from reference.generate import OurGenerator, generate
from spec.bench.agreement import generate_beside
from spec.bench.verdict import Verdict, judge
from spec.house.test_concepts import all_claims
from spec.museum.engine_mutants import ENGINE_MUTANTS
from spec.museum.load import load
from spec.museum.mutants import MUTANTS


def judgements(package, name: str):
    """How a claim is judged with `package` in impl's place, model by model."""
    claims = [claim for claim in all_claims() if claim.name == name]
    assert claims, f"there is no claim {name}"
    for claim in claims:
        try:
            answers = [Reference("auto").run(asked) for asked in claim.on]
        except NoReference as why:
            pytest.skip(f"UNTESTED: {why}")
        ours = [generate_beside(answer.run, lambda forced, asked=asked: generate(asked, partial(OurGenerator, package, forced=forced), "mutant"))
                for asked, answer in zip(claim.on, answers)]
        yield claim, judge(claim, ours, answers)


@pytest.mark.parametrize("exhibit", ENGINE_MUTANTS, ids=lambda exhibit: exhibit.mutant.name)
def test_its_claim_notices(exhibit):
    pytest.importorskip("torch", reason="there is no torch here to run an engine with; 'make setup' installs it")
    package = load(exhibit.mutant, with_tensors=True)
    if all(judgement.verdict in (Verdict.CONFIRMED, Verdict.REFUTED) for _, judgement in judgements(package, exhibit.noticed_by)):
        pytest.fail(f"{exhibit.mutant.name} lives: {exhibit.noticed_by} does not notice it.\n\n{exhibit.mutant.story}\n\n"
                    "Name a claim that does, or write one.", pytrace=False)


def test_without_a_bug_the_same_claims_are_confirmed():
    """Or the mutants would be killed by something else."""
    pytest.importorskip("torch", reason="there is no torch here to run an engine with; 'make setup' installs it")
    for name in sorted({exhibit.noticed_by for exhibit in ENGINE_MUTANTS}):
        for claim, judgement in judgements(impl, name):
            wanted = Verdict.REFUTED if claim.misconception else Verdict.CONFIRMED
            assert judgement.verdict is wanted, f"{name}: {judgement.verdict}"


def test_names_of_all_exhibits_are_unique():
    names = [mutant.name for mutant in MUTANTS] + [exhibit.mutant.name for exhibit in ENGINE_MUTANTS]
    assert len(names) == len(set(names)) and len(ENGINE_MUTANTS) >= 16
