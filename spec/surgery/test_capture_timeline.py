"""A real run, its decisions and its kernels on one clock. The whole experiment: `python -m reference.experiments.capture_timeline`."""
import pytest

from reference.vllm_scheduler import installed_version
from reports import perfetto
from reports.run_file import read


def test_the_steps_and_the_kernels_are_captured_together(tmp_path):
    pytest.importorskip("torch", reason="a profile needs torch, and there is none here: 'make setup' installs it")
    from reference.experiments import capture_timeline
    some, profile, run_file = capture_timeline.asked(), tmp_path / "profile.json.gz", tmp_path / "timeline.jsonl"
    run, steps = capture_timeline.captured("impl", some, profile)
    capture_timeline.write_run_file(run_file, run, steps)
    assert len(steps) == len(run.steps) > 30 and all(step["execute"] > 0 for step in steps)
    saved = read(run_file)      # the live page plays back what says that it is live, is whole, and numbers its steps
    assert saved.complete and saved.header["lab"]["live"] and [event["index"] for event in saved.events if event["type"] == "step"] == list(range(len(steps)))
    assert [event["request"]["id"] for event in saved.events if event["type"] == "request"] == [ask.request_id for ask in some.asks]
    events = perfetto.trace(read(run_file), profile=profile)["traceEvents"]
    lanes = {event["name"] for event in events if event.get("cat") == "step"}
    marks = {event["name"]: event["ts"] for event in events if event.get("cat") == "user_annotation" and event["name"].startswith("step ")}
    assert lanes == set(marks) == {f"step {number}" for number in range(len(steps))} and marks["step 0"] == 0
    computed = [event["ts"] for event in events if event["name"] == "aten::mm" or event.get("cat") == "kernel"]    # a CUDA graph shows its kernels, no operators
    assert sum(ts >= marks["step 1"] for ts in computed) > len(steps), "the kernels lie within the steps"


def test_vllms_own_profiler_sees_its_steps_on_the_same_clock(tmp_path):
    if installed_version() is None:
        pytest.skip("vLLM is not installed here: 'make setup' installs it")
    from reference.experiments import capture_timeline
    profile, run_file = tmp_path / "profile.json.gz", tmp_path / "timeline.jsonl"
    run, steps = capture_timeline.captured("vllm", capture_timeline.asked(), profile)
    capture_timeline.write_run_file(run_file, run, steps)
    events = perfetto.trace(read(run_file), profile=profile)["traceEvents"]
    marks = {event["name"]: (event["ts"], event["ts"] + event["dur"]) for event in events
             if event.get("cat") == "user_annotation" and event["name"].startswith("step ")}
    assert set(marks) == {f"step {number}" for number in range(len(steps))} and len(steps) == len(run.steps) > 30
    own = [event["ts"] for event in events      # what vLLM calls a step in its own profile; a GPU's lane says it a second time
           if event["name"].startswith("execute_context_") and event.get("cat") == "user_annotation"]
    assert [sum(begin <= ts <= end for ts in own) for begin, end in marks.values()] == [1] * len(steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profile.json.gz", "timeline.jsonl"]


def test_the_clock_is_taken_off_again():
    pytest.importorskip("torch", reason="a clock marks a profile, and there is no torch here: 'make setup' installs it")
    from reference.experiments.capture_timeline import Clock

    class Engine:
        def schedule(self): return "decided"
        def update_from_output(self): return "updated"
        def execute(self): return "computed"
        def step(self): return [self.schedule(), self.execute(), self.update_from_output()]
        def close(self): self.closed = True

    engine = Engine()
    clock = Clock(engine, engine, engine, "execute")
    assert clock.step() == ["decided", "computed", "updated"] and len(clock.steps) == 1
    clock.close()
    before = dict(clock.steps[0])
    engine.step()
    assert engine.closed and clock.steps == [before], "what runs afterwards is nobody's step"
