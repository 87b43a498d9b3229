"""Timelines: what the browser decodes is what happened, also step by step, and of a crowd as well."""
import pytest

from reports.page import page as page_of
from spec.bench import workload
from spec.bench.divergence import COMPARED, first_divergence
from spec.reports import real_runs
from spec.reports.browser import browser, page, troubles  # noqa: F401  (fixtures)

# Shares beginnings, evicts, preempts, and one is aborted.
SQUEEZED = (workload(num_blocks=9, block_size=4, max_num_batched_tokens=16)
            .request("a", prompt="system:8 a:3", max_tokens=12).request("b", prompt="system:8 b:5", max_tokens=12)
            .request("c", prompt="system:8 c:1", arrives=2, max_tokens=8).request("d", prompt="a:8", arrives=4, max_tokens=6).abort("c", at=6))
ROOMY = workload(num_blocks=12, block_size=4).request("a", prompt=12, max_tokens=3).request("b", prompt=4, max_tokens=8)


@pytest.fixture
def drawn(page, tmp_path):
    """Open a page with the timelines of a workload. The browser knows them as `line`."""
    def go(asked, bug=real_runs.BROKEN):
        path = tmp_path / "page.html"
        path.write_text(page_of(real_runs.run(real_runs.claim_on(asked, "own.py::drawn", bug=bug))), encoding="utf-8")
        page.goto(f"file://{path}#drawn")
        page.wait_for_selector(".claim[open] .timeline canvas")
        page.evaluate("window.line = document.querySelector('.claim[open] .timeline').timeline")
        return page
    return go


def test_the_browser_sees_what_happened(drawn):
    page, runs = drawn(SQUEEZED), dict(zip(("ours", "theirs"), real_runs.two_engines(SQUEEZED)))
    for side, run in runs.items():
        tables = page.evaluate(f"line.runs.{side}.steps.map(step => Object.fromEntries(step.tables))")
        assert tables == [{name: list(table) for name, table in step.items()} for step in run.block_tables]
        free, cached, evicted = (page.evaluate("""([side, name]) => line.runs[side].steps.map((_, i) =>
            line.runs[side].blocks(i).filter(block => block[name]).map(block => block.id))""", [side, name]) for name in ("free", "cached", "evicted"))
        assert free == [sorted(step.scheduled_state.free_blocks) for step in run.steps]
        assert cached == [sorted(step.scheduled_state.cached_blocks) for step in run.steps]
        assert evicted == overwritten(run) and any(evicted)


# Seen first in a decision; in what a step leaves behind.
@pytest.mark.parametrize(("asked", "bug"), [(SQUEEZED, real_runs.BROKEN), (ROOMY, "head-freed-first")], ids=["decision", "left behind"])
def test_the_browser_finds_the_same_differences(drawn, asked, bug):
    page, (ours, theirs) = drawn(asked, bug), real_runs.two_engines(asked, bug)
    both = list(zip(ours.steps, theirs.steps))
    differ = [i for i, (our, their) in enumerate(both) if any(getattr(our, name) != getattr(their, name) for name in COMPARED)]
    differ += range(len(both), max(len(ours.steps), len(theirs.steps)))
    assert page.evaluate("line.differences") == differ
    assert page.evaluate("line.cursor") == first_divergence(ours, theirs).step == differ[0]


def test_the_lanes_say_who_did_what(drawn):
    page, (_, theirs) = drawn(SQUEEZED), real_runs.two_engines(SQUEEZED)
    cells = page.evaluate("line.runs.theirs.steps.map(step => Object.fromEntries(step.cells))")
    kinds = {"prefill": 0, "decode": 0, "preempted": 0, "waiting": 0}
    generated = dict.fromkeys("abcd", 0)
    for step, cell in zip(theirs.steps, cells):
        for share in step.scheduled:
            # A decode computes what was sampled last, and nothing else.
            wanted = "decode" if generated[share.request_id] and share.kind == "running" and share.num_tokens == 1 else "prefill"
            assert (cell[share.request_id]["kind"], cell[share.request_id]["tokens"]) == (wanted, share.num_tokens)
        assert {name for name, does in cell.items() if does["kind"] == "preempted"} == set(step.preempted)
        assert {name for name, does in cell.items() if does["kind"] == "waiting"} == set(step.scheduled_state.waiting) - set(step.preempted)
        ended = {done.request_id for done in step.outputs if done.finish_reason}
        assert {name for name, does in cell.items() if does.get("end") == "finished"} == ended
        for done in step.outputs:
            generated[done.request_id] += len(done.new_token_ids)
        for does in cell.values():
            kinds[does["kind"]] = kinds.get(does["kind"], 0) + 1
    assert all(kinds[name] for name in ("prefill", "decode", "preempted", "waiting")), f"this workload shows too little: {kinds}"
    assert [i for i, cell in enumerate(cells) if cell.get("c", {}).get("end") == "aborted"] == [6]


def test_steps_that_come_later(drawn):
    """A live view, one side after the other, comes to be what the whole run is."""
    page = drawn(SQUEEZED)
    page.evaluate("""() => {
        window.live = new line.constructor(document.body.appendChild(document.createElement("div")), { ours: "ours", theirs: "theirs" });
        live.following = true;
        for (const [side, { limits, requests }] of Object.entries(line.runs)) live.setRun(side, { limits, requests, steps: [] });
        for (let i = 0; i < line.count; i++)
            for (const [side, run] of Object.entries(line.runs)) if (run.steps[i]) live.append(side, i, run.steps[i].raw);
    }""")
    told = "Object.values({}.runs).map(run => run.steps.map(step => JSON.stringify([[...step.tables], [...step.cells], step.state])))"
    assert page.evaluate(told.replace("{}", "live")) == page.evaluate(told.replace("{}", "line"))
    both = page.evaluate("Math.min(...Object.values(line.runs).map(run => run.steps.length))")
    assert page.evaluate("live.differences") == [step for step in page.evaluate("line.differences") if step < both]
    assert page.evaluate("live.cursor") == page.evaluate("line.count - 1")


def test_a_step_out_of_turn_is_refused(drawn):
    said = drawn(SQUEEZED).evaluate("() => { try { line.append('ours', 99, {}); } catch (error) { return error.message; } }")
    assert said.startswith("step 99 of ours came when step")


def test_a_crowd(drawn):
    """230 requests over hundreds of steps, with prompts of hundreds of blocks: only what is in sight is drawn."""
    crowd = workload(num_blocks=340, block_size=4, max_num_seqs=8, max_num_batched_tokens=512, max_model_len=2048)
    for i in range(230):
        crowd = crowd.request(f"request-{i}", prompt=1_200 if i % 50 == 0 else 20 + i % 7, max_tokens=10, arrives=2 * i)
    page = drawn(crowd)
    assert page.evaluate("line.count") > 450
    page.keyboard.press("End")
    assert page.evaluate("line.cursor === line.count - 1")
    assert page.evaluate("line.lanes.theirs.box.scrollTop") > 3_000, "whoever is at work at the end is not in sight"
    left, width, height, lanes = page.evaluate("""() => {
        const { box, canvas } = line.lanes.theirs;
        return [box.scrollLeft, canvas.width, canvas.height, box.scrollHeight];
    }""")
    assert left > 0 and width < 1_280 and height < 500 and lanes > 230 * 18
    assert page.evaluate("line.lanes.ours.box.scrollLeft") == left
    assert page.evaluate("document.documentElement.scrollWidth") == 1_280


def overwritten(run):
    """The blocks of each step that held something cached before, and were given out without it."""
    before, told = set(), []
    for step in run.steps:
        fresh = {block for share in step.scheduled
                 for block in (share.new_block_ids if share.kind == "running" else share.new_block_ids[share.num_computed_tokens // 4:])}
        told.append(sorted(fresh & before))
        before = set(step.updated_state.cached_blocks)
    return told
