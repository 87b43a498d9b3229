"""No recording is missing and none is left over; each says what was written down, and about its own workload alone."""
import pytest

from impl.outputs import NEW, EngineCoreOutput, ScheduledRequest
from reference import cassette
from reference.choose import PINNED_VERSION, Answer, NoReference, Reference
from reference.prompts import prompts
from reference.trace import Run, State, Step
from reference.workload import workload
from spec.bench.collect import all_claims
from spec.bench.plugin import require_recording
from spec.scheduler.test_classic_situations import CLASSICS

WORKLOADS = {needed.key: needed for claim in all_claims() for needed in claim.on} | {needed.key: needed for needed in CLASSICS.values()}


def test_nothing_is_missing():
    """That a recording is what vLLM does is looked at where its claim is asked live."""
    missing = {key: asked for key, asked in WORKLOADS.items() if not cassette.load(asked, PINNED_VERSION)}
    assert not missing, "not recorded yet; 'make record' does it:\n" + "\n".join(asked.source() for asked in missing.values())


def test_a_stale_recording_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    asked = workload(num_blocks=10).request("a", prompt=6)
    run, other = Run(asked, "vllm"), Run(asked, "vllm", ended="stalled")
    cassette.save(run, "1.2.3")
    require_recording(asked, Answer(run, "live", "1.2.3", "today"))
    with pytest.raises(pytest.fail.Exception, match="make record"):
        require_recording(asked, Answer(other, "live", "1.2.3", "today"))


def test_where_recordings_are_compared_each_must_be_there(tmp_path, monkeypatch):
    """Of another version there may be none, and then nothing was compared. What models say on a GPU has none."""
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    asked = workload(num_blocks=10).request("a", prompt=6)
    answer = Answer(Run(asked, "vllm"), "live", "1.2.3", "today")
    require_recording(asked, answer)
    with pytest.raises(pytest.fail.Exception, match="no recording by vLLM 1.2.3"):
        require_recording(asked, answer, must_exist=True)
    said = prompts("qwen3").ask("a", "Elizabeth was", max_tokens=2)
    require_recording(said, Answer(Run(said, "vllm"), "live", "1.2.3", "today", "cuda"), must_exist=True)
    with pytest.raises(pytest.fail.Exception, match="no recording by vLLM 1.2.3"):
        require_recording(said, Answer(Run(said, "vllm"), "live", "1.2.3", "today"), must_exist=True)


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


def test_the_tables_of_several_groups_are_read_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette, "FOLDER", tmp_path)
    before = State(("a",), (), (7, 3), (1, 2), 0.25, {"a": ((1, 2, 3), (0, 0, 5))})
    step = Step(0, (), (), (ScheduledRequest("a", NEW, 6, 0, ((1, 2), (0, 1))), ScheduledRequest("b", NEW, 1, 4, ())), (), (), before,
                (), before._replace(running=(), block_tables={}))
    run = Run(workload(num_blocks=10, sliding_window=4, kv_cache_groups=("full_attention", "sliding_window")).request("a", prompt=6), "vllm", [step])
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
