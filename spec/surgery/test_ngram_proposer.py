"""The n-gram proposer drafts what vLLM's drafts."""
from random import Random

import pytest

from impl.ngram_proposer import propose
from reference.vllm_scheduler import installed_version


@pytest.mark.parametrize("said, drafts, why", [
    ((1, 2, 3, 1, 2), (3, 1, 2), "what followed 1 2 before"),
    ((1, 2, 3, 4), (), "nothing occurs twice"),
    ((7, 1, 8, 7, 1, 9, 7, 1), (8, 7, 1), "the earliest of two occurrences, not the nearest"),
    ((1, 9, 2, 1, 5, 2, 1), (5, 2, 1), "two words say more than one: not the 9 that once followed 1"),
    ((5, 5, 5, 5), (5, 5), "two words may overlap with themselves, and what follows them is all there is"),
    ((4, 6, 4), (6, 4), "fewer than three follow"),
    ((4,), (), "one token has no past"),
])
def test_drafts(said, drafts, why):
    assert propose(said, 1, 2, 3, 100) == drafts, why


def test_no_drafts_beyond_the_context():
    assert propose((1, 2, 3, 1, 2), 1, 2, 3, max_model_len=7) == (3, 1)
    assert propose((1, 2, 3, 1, 2), 1, 2, 3, max_model_len=5) == ()


@pytest.mark.skipif(installed_version() is None, reason="UNTESTED: it asks vLLM's own proposer; 'make spec' installs it")
def test_vllm_drafts_the_same():
    from reference import vllm_ngram
    rng, proposals = Random(1), 0
    for _ in range(5000):
        said = [rng.randrange(rng.choice((2, 3, 8))) for _ in range(rng.randint(1, 30))]
        min_n = rng.randint(1, 4)
        asked = said, min_n, min_n + rng.randint(0, 3), rng.randint(1, 6), len(said) + rng.randint(0, 8)
        ours, theirs = propose(*asked), vllm_ngram.propose(*asked)
        assert ours == theirs, f"propose{asked}: ours {ours}, vLLM's {theirs}"
        proposals += bool(theirs)
    assert proposals > 1000, "too few of them were answered with drafts"
