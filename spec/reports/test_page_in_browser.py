"""The page as a person uses it: opened from disk in a real Chromium, made from real runs of a broken engine."""
import json
import re
from collections import Counter

import pytest

from reports.page import page as page_of
from spec.reports import real_runs
from spec.reports.browser import browser, hard_to_read, page, troubles  # noqa: F401  (fixtures)
from spec.reports.real_runs import VICTIM

SHORT = VICTIM.partition("::")[2]
OPEN = '.claim:has-text("the request that was admitted last")'
TIMELINE = "document.querySelector('.claim[open] .timeline').timeline"


@pytest.fixture
def opened(page, tmp_path):
    """Open a run's page from disk."""
    def go(run=None, hash="", **more):
        path = tmp_path / "page.html"
        path.write_text(page_of(run or real_runs.run(), **more), encoding="utf-8")
        page.goto(f"file://{path}{hash}")
        page.wait_for_selector("html[data-ready]")
        return page
    return go


@pytest.fixture
def victim(opened):
    """The page at the claim on victims, its timelines drawn."""
    found = opened(hash=f"#{SHORT}")
    found.wait_for_selector(f"{OPEN} .timeline canvas")
    return found


def place(page):
    return page.inner_text(f"{OPEN} .place")


def fact(page, name):
    """Both sides of one row at the cursor."""
    row = page.locator(f"{OPEN} .fact-row:visible", has=page.locator(".fact", has_text=re.compile(f"^{name}")))
    return row.locator("[data-side]").all_inner_texts()


def test_the_first_screen_says_what_happened(opened):
    page = opened()
    assert page.inner_text("h1") == "17 of 33 claims did not hold."
    assert page.title().startswith("17 of 33 claims did not hold.")
    header = page.inner_text("header")
    for words in ("vLLM 0.32.0 · recorded 2026-11-22", "Linux · x86_64 · 2 CPUs", "pytest spec/scheduler", "2026-11-23 02:11:00"):
        assert words in header
    assert page.inner_text(".chip.diverged").split() == ["≠", "17", "DIVERGED"]
    assert page.locator(".failures .claim").count() == 17
    first = Counter(claim["finding"]["what"] for claim in real_runs.run().claims if claim["verdict"] == "DIVERGED").most_common(1)[0]
    assert page.inner_text(".failures > p").startswith("The engines part first in {} ({})".format(*first))
    assert page.locator(".failures .claim").first.get_attribute("open") is not None
    assert page.locator(".theme .claim[open]").count() == 0
    page.click(".overview > summary")
    rows = [row.split() for row in page.locator(".overview tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["scheduler/chunked_prefill", "scheduler/preemption"]
    assert sum(int(row[-1]) for row in rows) == 33


def test_filtered_by_switch_and_by_word(opened):
    page = opened()
    page.uncheck(".chip.diverged input")
    assert page.locator(".claim.fail:visible").count() == 0
    assert page.inner_text(".shown") == "16 of 33 shown"
    page.keyboard.press("/")
    page.keyboard.type("chunked_prefill CONFIRMED budget")
    found = page.locator(".claim:visible").all_inner_texts()
    assert 0 < len(found) < 16
    assert all("CONFIRMED" in text for text in found)
    page.keyboard.press("Escape")
    assert page.locator(".claim:visible").count() == 33


def test_it_opens_at_the_divergence(victim):
    assert place(victim).startswith("step 5 of 0–11 ≠ differs")
    assert fact(victim, "Preempted") == ["a", "b"]
    assert fact(victim, "Scheduled") == ["nothing", "a running: 1 after 12 on +6"]
    assert "a preempted: a needs 1 blocks, 0 free" in fact(victim, "Why")[0]
    owner = [victim.get_attribute(f'{OPEN} [data-side={side}] [data-block="6"]', "title") for side in ("ours", "theirs")]
    assert owner == ["block 6: held by b, cached, differs", "block 6: held by a, what it cached is gone, differs"]
    assert victim.inner_text(f"{OPEN} .difference mark >> nth=0")


def test_stepping(victim):
    def press(*keys):
        for key in keys:
            victim.keyboard.press(key)
        return int(place(victim).split()[1])

    assert press("ArrowRight") == 6
    assert press("ArrowLeft", "ArrowLeft") == 4 and "differs" not in place(victim)
    assert press("n") == 5 and press("n") == 6 and press("p") == 5
    assert press("Home") == 0 and press("End") == 11 and press("ArrowRight") == 11
    victim.click(f"{OPEN} [data-act=first]")
    victim.click(f"{OPEN} [data-act=after]")
    assert place(victim).startswith("step 5 ")
    assert victim.url.endswith(f"#{SHORT}/step=5")
    victim.locator(f"{OPEN} canvas").first.click(position={"x": 95, "y": 60})
    assert place(victim).startswith("step 0 ")


def test_playing(victim):
    victim.evaluate(f"{TIMELINE}.perSecond = 100")
    victim.click(f"{OPEN} [data-act=play]")
    victim.wait_for_selector(f"{OPEN} .place b:text-is('step 11')")
    victim.wait_for_selector(f"{OPEN} [data-act=play]:text-is('▶')")
    assert victim.get_attribute(f"{OPEN} [data-act=play]", "aria-label") == "Play"
    victim.keyboard.press("Home")
    victim.evaluate("document.activeElement.blur()")
    victim.evaluate(f"{TIMELINE}.perSecond = 1")
    victim.keyboard.press(" ")
    assert victim.get_attribute(f"{OPEN} [data-act=play]", "aria-label") == "Pause"
    victim.keyboard.press(" ")
    assert victim.get_attribute(f"{OPEN} [data-act=play]", "aria-label") == "Play"


def test_links(opened):
    page = opened(hash=f"#{VICTIM}/step=8")
    page.wait_for_selector(f"{OPEN} .timeline canvas")
    assert place(page).startswith("step 8 ")
    page.evaluate(f"location.hash = '#{SHORT}/step=2'")
    page.wait_for_selector(f"{OPEN} .place b:text-is('step 2')")
    assert page.evaluate("document.activeElement.closest('.claim').getBoundingClientRect().top") < 200


def test_walking_by_keys(opened):
    page = opened()
    here = "document.activeElement.closest('.claim')?.querySelector('.sentence').textContent"
    page.keyboard.press("j")
    first = page.evaluate(here)
    page.keyboard.press("j")
    second = page.evaluate(here)
    page.keyboard.press("k")
    assert first == page.evaluate(here) != second
    page.keyboard.press("Enter")
    assert page.locator(".failures .claim").first.get_attribute("open") is None
    page.keyboard.press("?")
    assert "next, previous difference" in page.inner_text("dialog[open]")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_one_timeline_where_both_decided_the_same(opened):
    page = opened(real_runs.run(broken=False), hash=f"#{SHORT}")
    page.wait_for_selector(f"{OPEN} .timeline canvas")
    assert page.inner_text("h1") == "All 33 claims hold."
    assert "Both made the same decisions." in page.inner_text(f"{OPEN} .same")
    assert page.locator(f"{OPEN} .lanes").count() == 1
    page.keyboard.press("Home")
    assert "a admitted: 0 of its 8 tokens are cached" in fact(page, "Why")[0]


def test_the_source_has_its_lines(victim):
    victim.click(f"{OPEN} .source summary")
    victim.wait_for_selector(f"{OPEN} .source pre")
    source = next(event for event in real_runs.events(True) if event["type"] == "source" and event["of"].endswith("Scheduler.schedule"))
    assert victim.inner_text(f"{OPEN} .source pre").strip().splitlines()[0] == source["text"].splitlines()[0].strip()
    assert victim.get_attribute(f"{OPEN} .source i >> nth=1", "data-line") == str(source["line"] + 1)


def test_from_a_claim_to_its_concept_and_back(victim):
    victim.click(f"{OPEN} .facts a:text-is('preemption')")
    victim.wait_for_selector(".concept[open] summary:focus")
    assert victim.locator(".concept[open]").count() == 1 and victim.url.endswith("#concept=preemption")
    assert victim.inner_text(".concept[open] summary").split()[:3] == [
        "preemption", "impl/scheduler.py::Scheduler._preempt", "v1/core/sched/scheduler.py::Scheduler._preempt_request"]
    assert 'python -m spec explain "preemption"' in victim.inner_text(".concept[open] pre")
    about = [claim for claim in real_runs.run().claims if "preemption" in claim["concepts"]]
    assert victim.locator(".concept[open] li").count() == len(about) > 10
    victim.click(".concept[open] li a >> nth=1")
    victim.wait_for_selector(".claim[open] > summary:focus")
    assert victim.inner_text(".claim[open]:focus-within .sentence") == about[1]["sentence"]


def test_the_whole_concept_map_is_there(opened):
    page = opened(hash="#concept=block%20pool")
    page.wait_for_selector(".concept[open]")
    themes = next(event for event in real_runs.events(True) if event["type"] == "concepts")["themes"]
    assert page.locator(".concepts h3").all_text_contents() == [theme["theme"] for theme in themes]
    names = [concept["name"] for theme in themes for concept in theme["concepts"]]
    assert page.locator(".concept > summary b").all_text_contents() == names and len(names) >= 60
    assert not [text for text in hard_to_read(page) if "CODE" in text or "B." in text]


def test_without_a_concept_map_there_is_no_place_for_it(opened):
    run = real_runs.run()
    run.events = [event for event in run.events if event["type"] != "concepts"]
    assert opened(run, hash="#concept=preemption").locator(".concepts").count() == 0


def test_what_was_watched_is_shown_at_the_cursor(opened):
    event = json.loads(json.dumps(next(event for event in real_runs.events(True) if event.get("nodeid") == VICTIM)))
    for number, step in enumerate(event["runs"][0]["theirs"]["steps"]):
        step["watched"] = {"len(self.waiting)": str(number), "nobody": "NameError: <b>no</b>"}
    page = opened(real_runs.run(event | {"nodeid": "own.py::watched", "sentence": "It is watched.", "finding": event["finding"] | {"run": 0}}),
                  hash="#watched/step=3")
    row = page.locator('.claim:has-text("It is watched.") .fact-row', has=page.locator(".fact", has_text="Watched in vLLM"))
    row.wait_for()
    assert row.locator("[data-side]").all_inner_texts() == ["—", "len(self.waiting) = 3\nnobody = NameError: <b>no</b>"]
    page.keyboard.press("ArrowRight")
    assert row.locator("[data-side]").nth(1).inner_text().startswith("len(self.waiting) = 4")
    assert "differs" not in row.get_attribute("class")


def test_what_has_changed_is_said(opened):
    page = opened(before=real_runs.run(broken=False))
    assert page.inner_text(".since p") == "Since the run of 02:11: 17 no longer hold."
    page.click(".change summary")
    page.click(".change a >> nth=0")
    page.wait_for_selector(".claim[open]:focus-within")
    assert "CONFIRMED → DIVERGED" in page.locator(".change li").first.text_content()


def test_a_claim_alone(opened):
    page = opened(only=VICTIM)
    assert page.locator(".claim").count() == 1
    page.wait_for_selector(f"{OPEN} .place-of-timeline")
