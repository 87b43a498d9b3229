"""The names by which the lab points into vLLM are there, in the installed version."""
from collections import Counter
from pathlib import Path

import pytest

from reference.concepts import CONCEPTS, THEMES, concepts_of, table
from reference.source import OURS, locate, vllm_folder
from spec.bench.collect import all_claims
from spec.bench.known_divergences import KNOWN_DIVERGENCES

README = Path(__file__).parents[2] / "README.md"
needs_vllm = pytest.mark.skipif(vllm_folder() is None, reason="vLLM's source is not here; 'make spec' installs it")


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_our_side_of_the_concept_map(concept):
    assert locate(concept.ours, OURS), f"{concept.ours} is gone: correct reference/concepts.py"


@needs_vllm
@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_vllm_side_of_the_concept_map(concept):
    lost = [place for place in (concept.vllm, *concept.also) if not locate(place, vllm_folder())]
    assert not lost, f"{lost} is not in the installed vLLM: find its new name for reference/concepts.py"


def test_the_concept_map_is_wide():
    wanted = {"scheduling", "memory", "the loop", "inputs and outputs", "the model", "sampling", "kernels"}
    assert set(THEMES) == wanted and all(len(concepts) >= 4 for concepts in THEMES.values()) and len(CONCEPTS) >= 60
    assert {name: times for name, times in Counter(concept.name for concept in CONCEPTS).items() if times > 1} == {}


def test_every_kernel_is_on_the_concept_map():
    kernels = {f"kernels/{path.name}" for path in (OURS / "kernels").glob("*.py") if path.name != "__init__.py"}
    assert kernels == {concept.ours.partition("::")[0] for concept in THEMES["kernels"]}


def test_the_events_of_the_concept_map_are_those_that_claims_are_about():
    unknown = {event for concept in CONCEPTS for event in concept.about} - {event for claim in all_claims() for event in claim.about}
    assert not unknown, f"no claim is about {sorted(unknown)}: correct reference/concepts.py"


def test_every_claim_has_a_concept():
    lost = {claim.name: claim.vllm for claim in all_claims() if not concepts_of(claim.vllm)}
    assert not lost, f"give these a concept in reference/concepts.py, or name their place in the `also` of one: {lost}"


def test_the_closest_concept_comes_first():
    found = concepts_of("v1/core/block_pool.py::BlockPool.free_blocks", ["preemption"])
    assert [concept.name for concept in found] == ["blocks are given back", "preemption"]
    assert [concept.name for concept in concepts_of("v1/core/block_pool.py::BlockPool.__init__")] == ["block pool"]
    assert concepts_of("v1/core/block_pool.py::BlockPoolOfOurs") == []


def test_the_readme_shows_the_concept_map():
    assert table() in README.read_text(), "paste the output of 'python -m reference.concepts' into README.md"


@needs_vllm
def test_every_claim_points_into_vllm():
    lost = {claim.name: claim.vllm for claim in all_claims() if not locate(claim.vllm, vllm_folder())}
    assert not lost, f"not in the installed vLLM: {lost}"


def test_every_claim_has_a_name_of_its_own():
    names = [holds.__name__ for holds in {claim.holds for claim in all_claims()}]      # one for both models
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_every_known_divergence_has_a_claim():
    assert set(KNOWN_DIVERGENCES) <= {claim.name for claim in all_claims()}
