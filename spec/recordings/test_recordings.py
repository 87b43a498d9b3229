"""Each recording equals a live run, none is missing, and none is left over."""
import pytest

from impl.outputs import NEW, EngineCoreOutput, ScheduledRequest
from reference import cassette
from reference.choose import PINNED_VERSION, NoReference, Reference
from reference.generate import Generation
from reference.trace import Run, State, Step
from reference.vllm_scheduler import installed_version
from reference.workload import workload
from spec.bench.agreement import first_difference
from spec.bench.divergence import first_divergence
from spec.house.test_concepts import all_claims
from spec.scheduler.test_classic_situations import CLASSICS

WORKLOADS = {needed.key: needed for claim in all_claims() for needed in claim.on} | {needed.key: needed for needed in CLASSICS.values()}
needs_vllm = pytest.mark.skipif(installed_version() != PINNED_VERSION,
                                reason=f"UNTESTED: vLLM {PINNED_VERSION} is not installed here; 'make spec' installs it")


@needs_vllm
@pytest.mark.parametrize("key", sorted(WORKLOADS))
def test_a_recording_is_what_vllm_does(key, bench):
    recorded = cassette.load(WORKLOADS[key], PINNED_VERSION)
    assert recorded, f"not recorded yet; 'make record' does it:\n{WORKLOADS[key].source()}"
    live = bench.bench.reference.live(WORKLOADS[key])
    difference = (first_difference if isinstance(live, Generation) else first_divergence)(recorded[0], live)
    assert difference is None, f"the recording is stale; 'make record' renews it: {difference}"
    assert (recorded[0].refused if isinstance(live, Generation) else recorded[0]) == (live.refused if isinstance(live, Generation) else live)


def test_no_recording_is_left_over():
    leftover = {path.stem for path in (cassette.FOLDER / PINNED_VERSION).glob("*.jsonl")} - set(WORKLOADS)
    assert not leftover, f"no claim asks for these any more, delete them: {sorted(leftover)}"


def test_a_recording_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    before = State(("a",), ("b",), (7, 3, 4, 5, 9), (1, 2), 0.25)
    step = Step(0, ("request b",), (True, False), (ScheduledRequest("a", NEW, 6, 0, (1, 2)),), ("c",), ("d",), before,
                (EngineCoreOutput("a", (5,), "stop", 7),), before._replace(running=()), ("request b: AssertionError: duplicate",))
    run = Run(workload(num_blocks=10).request("a", prompt=6), "vllm", [step], "stalled", None, {"hits": 3})
    cassette.save(run, "1.2.3")
    assert cassette.load(run.workload, "1.2.3")[0] == run


def test_a_recording_of_another_version_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    asked = workload(num_blocks=10).request("a", prompt=6)
    cassette.save(Run(asked, "vllm"), "0.31.0")
    with pytest.raises(NoReference, match="--reference=record"):
        Reference("recorded").run(asked)


def test_a_recording_of_another_workload_is_not_used(tmp_path, monkeypatch):
    """A file that was copied or edited answers no other question than its own."""
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    asked, other = workload(num_blocks=10).request("a", prompt=6), workload(num_blocks=10).request("a", prompt=7)
    cassette.save(Run(asked, "vllm"), PINNED_VERSION).rename(cassette.path_of(other, PINNED_VERSION))
    assert cassette.load(other, PINNED_VERSION) is None
