"""Each bug of a whole engine is noticed by the claim that stands beside it."""
import pytest

import impl
from reference.choose import NoReference
from spec.museum.engine_matrix import claims_named, judge_engine, notices, wanted
from spec.museum.engine_mutants import ENGINE_MUTANTS
from spec.museum.mutants import MUTANTS


@pytest.fixture(autouse=True)
def torch():
    return pytest.importorskip("torch", reason="there is no torch here to run an engine with; 'make setup' installs it")


@pytest.mark.parametrize("exhibit", ENGINE_MUTANTS, ids=lambda exhibit: exhibit.mutant.name)
def test_its_claim_notices(exhibit):
    try:
        found_out = notices(exhibit)
    except NoReference as why:
        pytest.skip(f"UNTESTED: {why}")
    if not found_out:
        pytest.fail(f"{exhibit.mutant.name} lives: {exhibit.noticed_by} does not notice it.\n\n{exhibit.mutant.story}\n\n"
                    "Name a claim that does, or write one.", pytrace=False)


@pytest.mark.parametrize("name", sorted({exhibit.noticed_by for exhibit in ENGINE_MUTANTS}))
def test_without_the_bug_the_claim_is_as_it_should_be(name):
    """Or the mutant would be killed by something else."""
    for claim in claims_named(name):
        assert judge_engine(claim, impl).verdict is wanted(claim)


def test_names_of_all_exhibits_are_unique():
    names = [mutant.name for mutant in MUTANTS] + [exhibit.mutant.name for exhibit in ENGINE_MUTANTS]
    assert len(names) == len(set(names)) and len(ENGINE_MUTANTS) >= 16
