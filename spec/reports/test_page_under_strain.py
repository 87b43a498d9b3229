"""The page where it is hard: for weak eyes, on a phone, with hostile names, with thousands of claims."""
import re
from random import Random

import pytest

from spec.bench import workload
from spec.reports import real_runs
from spec.reports.browser import browser, hard_to_read, page, troubles  # noqa: F401  (fixtures)
from spec.reports.test_page_in_browser import OPEN, opened, victim  # noqa: F401  (fixtures)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(victim, scheme):
    victim.emulate_media(color_scheme=scheme)
    victim.evaluate("document.querySelectorAll('.legend, .overview').forEach(details => { details.open = true; })")
    paper = victim.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) > 600) == (scheme == "light")
    assert hard_to_read(victim) == []


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_scrolls_one_way(victim, width):
    victim.set_viewport_size({"width": width, "height": 800})
    victim.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert victim.evaluate("document.documentElement.scrollWidth") == width
    cut_off = victim.evaluate("""[...document.querySelectorAll('main *')].filter(element => element.checkVisibility()
        && !element.closest('.lanes, .scroll, pre, legend, .find span') && element.getBoundingClientRect().right > innerWidth).map(element => element.className)""")
    assert cut_off == []
    assert victim.locator(f"{OPEN} .fact-row:visible").count() > 5


def test_hostile_names_are_text(opened):
    evil = "</script><img src=x onerror=alert(1)>\u202eevil 🦙"
    asked = workload(num_blocks=7).request(evil, prompt="x:8", max_tokens=8).request("b" * 500, prompt="y:8", max_tokens=8)
    told = real_runs.claim_on(asked, evil, sentence=evil + "x" * 1_000_000, theme=evil, workload=evil, engine=evil, vllm=evil, longrepr=evil)
    told["finding"] |= {"headline": evil, "ours": evil, "detail": evil}
    page = opened(real_runs.run(told, {"type": "test", "nodeid": evil, "outcome": "failed", "longrepr": evil}))
    claim = page.locator(".failures .claim").last
    claim.evaluate("claim => { claim.open = true; }")
    claim.locator(".place-of-timeline").scroll_into_view_if_needed()
    claim.locator(".timeline canvas").first.wait_for()
    assert page.locator("img").count() == 0
    shown = evil.replace("\u202e", r"\u202e")
    assert claim.locator("h5").first.text_content() == shown
    assert f"{shown} new: 8 after 0" in (claim.locator("[data-act=first]").click() or claim.locator(".moment").text_content())
    assert shown in page.locator(".tests pre").text_content()
    assert "more characters)" in claim.locator(".sentence").text_content()
    assert page.evaluate("document.documentElement.scrollWidth") == 1280


def test_four_thousand_claims(opened, tmp_path):
    some = [event for event in real_runs.events(False) if event["type"] == "claim"]
    noise = Random(0)   # runs that hardly shrink when they are packed, so that not all have room
    more = [claim | {"nodeid": f"{claim['nodeid']}[{copy}]", "sentence": f"{claim['sentence']} ({copy})", "theme": f"{claim['theme']}_{copy % 20}",
                     "runs": [both | {"theirs": both["theirs"] | {"error": noise.randbytes(300).hex()}} for both in claim["runs"]]}
            for copy in range(4_000 // len(some)) for claim in some]
    page = opened(real_runs.run(*more, broken=False))
    assert (tmp_path / "page.html").stat().st_size <= 2_000_000
    assert page.locator(".claim").count() == len(more) + len(some) > 3_900
    page.fill(".find input", "(77) admitted last")
    assert page.locator(".claim:visible").count() == 1
    commands = page.evaluate("""Promise.all([...document.querySelectorAll('.claim')].filter((_, i) => i % 40 === 0).map(claim => {
        claim.open = true;
        return new Promise(done => setTimeout(() => done(claim.querySelector('.missing pre')?.textContent ?? null), 200));
    }))""")
    assert None in commands, "none has its timelines"
    left_out = next(filter(None, commands))
    assert left_out.startswith("python -m reports reports/runs/run.jsonl --claim 'spec/scheduler/test_")
