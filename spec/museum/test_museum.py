"""Each mutant must make the predicate of some claim false."""
import pytest

from spec.museum.load import StaleMutantError, load
from spec.museum.matrix import Museum
from spec.museum.mutant import Mutant
from spec.museum.mutants import MUTANTS


@pytest.fixture(scope="module")
def museum() -> Museum:
    return Museum()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_claim_notices(mutant, museum):
    if not any(kill.outright for kill in museum.kills(mutant)):
        pytest.fail(f"{mutant.name} lives: with this bug in impl no claim is false.\n\n{mutant.story}\n\n"
                    f"Write the claim that forbids it, or see the change: python -m spec.museum --mutant {mutant.name}", pytrace=False)


def test_names_are_unique():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_that_fits_nowhere_is_an_error():
    with pytest.raises(StaleMutantError, match="must occur once in impl/scheduler.py and occurs 0 times"):
        load(Mutant("stale", "", "scheduler.py", "a line impl does not have", ""))
