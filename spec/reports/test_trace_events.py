"""Traces of real runs of both engines, and of live ones: checked against the format, and against what the runs say."""
import pytest

from reference import cassette
from reference.choose import PINNED_VERSION
from reference.timeline import beside, timeline
from reference.workload import Workload
from reports import perfetto, trace_events
from reports.run_file import read
from spec.engine.side_by_side import needs_torch
from spec.kv_cache import test_prefix_caching
from spec.reports.traces import CROWDED, both, check, claim, counter, instants, run_file, slices
from spec.scheduler import test_abort, test_chunked_prefill, test_parallel_sampling, test_preemption
from spec.surgery import test_speculative_decoding

MODULES = (test_preemption, test_chunked_prefill, test_abort, test_parallel_sampling, test_prefix_caching, test_speculative_decoding)
WORKLOADS = {f"{module.__name__.split('.')[-1]}.{name}": value for module in MODULES for name, value in vars(module).items()
             if isinstance(value, Workload) and cassette.path_of(value, PINNED_VERSION).exists()}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_trace_says_what_the_run_says(name, tmp_path):
    """Of both engines. What is compared with is the run itself, not its timeline."""
    ours, theirs = both(WORKLOADS[name])
    document = perfetto.trace(run_file(tmp_path, claim(name, beside(ours, theirs))))
    check(document)
    for pid, run in enumerate((ours, theirs), 1):
        assert [each["args"]["tokens"] for each in slices(document, pid) if each["cat"] == "step"] == [step.num_tokens for step in run.steps]
        assert counter(document, pid, "tokens", "scheduled")[:-1] == [step.num_tokens for step in run.steps]
        assert counter(document, pid, "blocks", "free")[:-1] == [len(step.scheduled_state.free_blocks) for step in run.steps]
        assert counter(document, pid, "cached blocks", "cached")[:-1] == [len(step.scheduled_state.cached_blocks) for step in run.steps]
        assert counter(document, pid, "requests", "waiting")[:-1] == [len(step.scheduled_state.waiting) for step in run.steps]
        work = slices(document, pid, "prefill") + slices(document, pid, "decode")
        assert sum(each["args"]["tokens"] for each in work) == sum(step.num_tokens for step in run.steps)
        idle = sum(each["dur"] for each in slices(document, pid, "waiting") + slices(document, pid, "preempted")) / trace_events.STEP_US
        assert idle == sum(len(step.scheduled_state.waiting) for step in run.steps)
        seen = instants(document, pid)
        assert seen["preempted"] == len(run.preemptions)
        assert seen["cache hit"] == sum(share.num_computed_tokens > 0 for step in run.steps for share in step.admitted)
        ends = [output.finish_reason for step in run.steps for output in step.outputs if output.finish_reason]
        assert sum(number for name, number in seen.items() if name.startswith("finished: ")) == len(ends)


def test_used_blocks_are_those_in_the_block_tables(tmp_path):
    """Without a prefix cache no block is shared, so the tables' lengths add up."""
    ours, theirs = both(CROWDED)
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(ours, theirs))))
    held = [sum(map(len, tables.values())) for tables in theirs.block_tables]
    assert max(held) > 4 and counter(document, 2, "blocks", "used")[:-1] == held


def test_a_life_of_preemption_is_told_in_order(tmp_path):
    """The victim computes, is preempted, computes everything again, and decodes to the end."""
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))), side="theirs")
    track = next(event["tid"] for event in document["traceEvents"] if event["ph"] == "M" and event["args"].get("name") == "request b")
    life = [event["name"] for event in document["traceEvents"] if event["ph"] in "Xi" and event["tid"] == track]
    assert list(dict.fromkeys(life)) == ["prefill", "decode", "preempted", "finished: length"]
    assert [each for each, before in zip(life, [None, *life]) if each != before] == [
        "prefill", "decode", "preempted", "prefill", "decode", "finished: length"]


def test_an_id_that_comes_again_has_no_past():
    """Aborted while it was preempted; the next one of that name waits, as a new one does."""
    steps = [{"scheduled": [["a", "new", 4, 0, "1"]], "outputs": [["a", [7]]], "state": [["a"], [], "2", "", None]},
             {"preempted": ["a"], "state": [[], ["a"], "1-2", "", None]},
             {"finished": ["a"], "state": [[], ["a"], "1-2", "", None]}]
    events = trace_events.trace_events({"requests": [{"id": "a"}], "steps": steps}, 1, "vLLM")
    assert [event["name"] for event in events if event["tid"] == 2 and event["ph"] in "Xi"] == ["prefill", "preempted", "preempted", "aborted", "waiting"]


def test_reasons_are_on_our_side_only(tmp_path):
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))))
    assert any("reasons" in each["args"] for each in slices(document, 1, "preempted"))
    assert not any("reasons" in each["args"] for each in slices(document, 2))
    assert document["otherData"]["ours"]["engine"] == "impl" and document["otherData"]["theirs"]["engine"] == "vLLM"


def test_a_step_without_a_clock_is_a_millisecond_and_says_so(tmp_path):
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))))
    assert [each["ts"] for each in slices(document, 1) if each["cat"] == "step"][:3] == [0, 1000, 2000]
    assert "1 ms" in document["otherData"]["ours"]["time"]


def live_file(folder, clock):
    ours, theirs = both(test_chunked_prefill.chunks)
    pair = {"ours": timeline(ours), "theirs": timeline(theirs)}
    events = [{"type": "run", "side": side, "timeline": told | {"steps": [], "requests": []}} for side, told in pair.items()]
    events += [{"type": "request", "request": request} for request in pair["ours"]["requests"]]
    for index, steps in enumerate(zip(*(told["steps"] for told in pair.values()))):
        for side, step in zip(pair, steps):
            events.append({"type": "step", "side": side, "index": index, "step": step | clock(index)})
    return run_file(folder, *events, {"type": "note", "text": "saved"}), ours


def test_a_live_run_is_drawn_with_its_own_clock(tmp_path):
    run, ours = live_file(tmp_path, lambda index: {"time": [100 + index * 0.5, 100.2 + index * 0.5]})
    document = perfetto.trace(run)
    check(document)
    steps = [each for each in slices(document, 2) if each["cat"] == "step"]
    assert len(steps) == len(ours.steps)
    assert [each["ts"] for each in steps[:3]] == pytest.approx([0, 500_000, 1_000_000]) and steps[0]["dur"] == pytest.approx(200_000)
    assert document["otherData"]["theirs"]["time"] == "as measured"


def test_a_live_run_without_a_clock_is_drawn_too(tmp_path):
    run, ours = live_file(tmp_path, lambda index: {})
    document = perfetto.trace(run, side="ours")
    check(document)
    assert {event["pid"] for event in document["traceEvents"]} == {1}
    assert len([each for each in slices(document, 1) if each["cat"] == "step"]) == len(ours.steps)
    with pytest.raises(perfetto.NoSuchClaim, match="live run"):
        perfetto.trace(run, "a claim")


@needs_torch
def test_a_real_live_run_beside_a_real_profile(tmp_path):
    """Our engine writes under torch's profiler, in a pool so small that it preempts."""
    from torch.profiler import ProfilerActivity, profile

    from spec.live.by_hand import ask, finish
    from spec.live.driver import Driver
    driver = Driver(tmp_path)
    driver.take({"do": "engine", "engine": "impl", "model": "qwen3",
                 "limits": {"num_blocks": 7, "block_size": 8, "max_num_batched_tokens": 16, "max_num_seqs": 2}})
    for prompt in ("Elizabeth was", "Mr. Darcy", "It is a truth universally acknowledged, that a single man"):
        ask(driver, prompt, max_tokens=28)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        driver.turn()
    finish(driver)
    driver.take({"do": "save"})
    profiler.export_chrome_trace(str(tmp_path / "profile.json"))
    run = read(driver.files[0])
    document = perfetto.trace(run, profile=tmp_path / "profile.json")
    check(document)
    outputs = [output for event in run.events if event["type"] == "step" for output in event["step"].get("outputs", ())]
    told = [each["args"]["sampled"] for each in slices(document, 1, "prefill") + slices(document, 1, "decode") if "sampled" in each["args"]]
    assert sum(map(len, told)) == sum(len(tokens) for _, tokens, *_ in outputs) > 40
    assert instants(document, 1)["preempted"] == sum(len(event["step"].get("preempted", ())) for event in run.events if event["type"] == "step") > 0
    assert any("text" in each["args"] for each in slices(document, 1, "decode"))
    assert any(event["name"] == "aten::mm" and event["pid"] > 1 for event in document["traceEvents"])
    driver.session.file.close(0, {}, {})


@pytest.mark.parametrize("ph, change", [
    ("X", {"dur": None}), ("X", {"dur": -1}), ("X", {"dur": 1500}), ("X", {"pid": "1"}), ("X", {"ts": -1}), ("X", {"pid": 9}), ("i", {"s": "thread"}),
    ("C", {"args": {"free": "3"}}), ("C", {"args": {}}), ("C", {"ts": 1e9}), ("M", {"args": {}}), ("M", {"name": "process"})])
def test_the_check_finds_what_is_wrong(tmp_path, ph, change):
    document = perfetto.trace(run_file(tmp_path, claim("a", beside(*both(CROWDED)))))
    at = next(index for index, event in enumerate(document["traceEvents"]) if event["ph"] == ph and event["name"] != "process_sort_index")
    changed = {name: value for name, value in (document["traceEvents"][at] | change).items() if value is not None}
    document["traceEvents"][at] = changed
    with pytest.raises(AssertionError):
        check(document)
