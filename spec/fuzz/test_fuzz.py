"""A few hundred random workloads in every run of the suite, and all that ever went wrong."""
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from reference.vllm_scheduler import installed_version
from spec.fuzz.duel import Tally, duel, median
from spec.fuzz.generator import KINDS, must_happen, random_workload
from spec.fuzz.regressions import kept, load

SHARDS, EXAMPLES = 2, 75

pytestmark = pytest.mark.skipif(installed_version() is None and not os.environ.get("CI"),
                                reason="UNTESTED: fuzzing asks the real vLLM; 'make spec' installs it")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_decision_is_the_same(shard, kind):
    @seed(shard)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def decide_alike(rng: Random):
        workload = random_workload(rng, kind)
        wrong, _ = duel(workload)
        assert wrong is None, f"{wrong}\n\n{workload.source()}"

    decide_alike()


@pytest.mark.parametrize("kind", KINDS)
def test_the_workloads_are_not_trivial(kind):
    tally = Tally()
    for number in range(100):
        workload = random_workload(Random(number), kind)
        wrong, theirs = duel(workload)
        assert wrong is None, f"{wrong}\n\n{workload.source()}"
        tally.add(workload, theirs)
    assert median(tally.requests) >= 10 and median(tally.steps) >= 35
    assert {event: tally.events[event] for event, share in must_happen(kind).items() if tally.events[event] < 100 * share} == {}


if kept():
    @pytest.mark.parametrize("path", kept(), ids=lambda path: path.stem)
    def test_what_went_wrong_once(path: Path):
        workload = load(path)
        wrong, _ = duel(workload)
        assert wrong is None, f"{wrong}\n\n{workload.source()}"
