"""The names by which the lab points into vLLM are there, in the installed version."""
import importlib
import pkgutil
from pathlib import Path

import pytest

import spec.engine
import spec.kv_cache
import spec.sampling
import spec.scheduler
import spec.surgery
from reference.concepts import CONCEPTS, table
from reference.source import OURS, locate, vllm_folder
from spec.bench.claim import ALL_CLAIMS
from spec.bench.known_divergences import KNOWN_DIVERGENCES

README = Path(__file__).parents[2] / "README.md"
needs_vllm = pytest.mark.skipif(vllm_folder() is None, reason="vLLM's source is not here; 'make spec' installs it")


def all_claims():
    for package in (spec.scheduler, spec.kv_cache, spec.engine, spec.sampling, spec.surgery):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return ALL_CLAIMS


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_our_side_of_the_concept_map(concept):
    assert locate(concept.ours, OURS), f"{concept.ours} is gone: correct reference/concepts.py"


@needs_vllm
@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_vllm_side_of_the_concept_map(concept):
    assert locate(concept.vllm, vllm_folder()), f"{concept.vllm} is not in the installed vLLM: find its new name for reference/concepts.py"


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
