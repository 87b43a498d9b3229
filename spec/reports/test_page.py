"""The page as a file: what travels in it, how much, and that nothing a run says can become part of it. How it looks: `test_page_in_browser.py`."""
import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports import bundle
from reports.job_summary import markdown
from reports.page import NoSuchClaim, page
from reports.run_file import Run
from spec.reports import real_runs
from spec.reports.real_runs import VICTIM

HOSTILE = {
    "script": "</script><img src=x onerror=alert(1)>",
    "style": "</style></pre></details>",
    "attribute": "\" onclick='alert(1)' x=\"",
    "template": "$style ${title} $$ {0} %s",
    "right to left": "مرحبا \u202eevil\u202c",
    "emoji": "👩‍🚀🦙\ufe0f",
    "control": "\x00\x1b[31m\r\n\u2028",
    "half a character": "\ud800",
    "long": "x" * 1_000_000,
}


class Page(HTMLParser):
    """What a browser gets: the tags, and the packed pieces by id."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.pieces, self.inside = [], {}, None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.pieces[self.inside] = json.loads(zlib.decompress(base64.b64decode(data)))

    @property
    def run(self):
        return self.pieces["run"]

    def runs_of(self, claim):
        return self.pieces[claim["runs"]]


def claim(verdict="CONFIRMED", outcome="passed", text="b", **more):
    """A claim, every text of which is `text`."""
    finding = {"headline": text, "step": 7, "what": text, "ours": text, "theirs": "6", "rows": [], "ours_reasons": [text],
               "shrunk": text, "source": text, "next": text, "remedy": text}
    return {"type": "claim", "nodeid": text, "outcome": outcome, "duration": 0.5, "sentence": text, "theme": text, "vllm": text,
            "about": [text], "verdict": verdict, "misconception": False, "known_divergence": None, "engine": text,
            "reference": {"mode": "live", "version": text, "date": text}, "workload": text,
            "finding": None if verdict == "CONFIRMED" else finding} | more


def run_of(*events, footer=True, text="b", status=0):
    header = {"type": "header", "started": "2026-11-22T10:00:00+00:00", "command": ["pytest", text], "python": "3.11.7", "folder": text,
              "machine": {"platform": text, "architecture": "x86_64", "cpus": 2}, "lab": {"impl": text, "reference": {"version": text}}}
    ended = {"type": "footer", "ended": "2026-11-22T10:00:09+00:00", "exit_status": status}
    return Run(Path("run.jsonl"), header, list(events), ended if footer else None)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_travels_as_data(name):
    text = HOSTILE[name]
    broken = {"type": "test", "nodeid": text, "outcome": "failed", "duration": 0, "longrepr": text}
    source = {"type": "source", "of": text, "path": text, "line": 1, "text": text}
    html = page(run_of(claim(text=text), claim("DIVERGED", "failed", text), broken, source, text=text))
    told, tame = Page(html), Page(page(run_of(claim(), claim("DIVERGED", "failed"))))
    assert [tag for tag, _ in told.tags] == [tag for tag, _ in tame.tags]
    assert {tag for tag, _ in told.tags if tag in ("script", "style")} == {"script", "style"}
    assert told.run["claims"][1]["sentence"] == told.run["claims"][1]["finding"]["headline"] == text
    assert told.pieces["sources"][text]["text"] == text
    html.encode("utf-8")


def test_the_name_of_the_file_is_text():
    assert "<b>&lt;" not in page(Run(Path("<b>.jsonl"))) and "&lt;b&gt;.jsonl" in page(Run(Path("<b>.jsonl")))


def test_the_page_asks_for_nothing():
    told = Page(page(real_runs.run()))
    assert not [attrs for _, attrs in told.tags if {"src", "srcset", "href"} & attrs.keys()]
    policy = next(attrs["content"] for _, attrs in told.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy and "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy and not re.search(r"script-src[^;]*unsafe-inline", policy)


def test_modules_come_before_who_needs_them(tmp_path):
    (tmp_path / "a.js").write_text('import { two } from "./b.js";\nconst own = 1;\nglobalThis.sum = own + two();\n')
    (tmp_path / "b.js").write_text('import { own } from "./c.js";\nexport function two() { return own; }\n')
    (tmp_path / "c.js").write_text("export const own = 2;\n")
    code = bundle.script(tmp_path / "a.js")
    assert "import" not in code and "export" not in code
    assert code.index("const own = 2") < code.index("function two") < code.index("const own = 1")


def test_a_finding_is_told_whole():
    told = Page(page(real_runs.run()))
    event = next(event for event in real_runs.events(True) if event.get("nodeid") == VICTIM)
    shown = next(claim for claim in told.run["claims"] if claim["nodeid"] == VICTIM)
    assert (shown["id"], shown["kind"], shown["failed"]) == (VICTIM.partition("::")[2], "diverged", True)
    assert shown["finding"] == event["finding"] and shown["workload"] == event["workload"]
    assert told.runs_of(shown) == {"runs": event["runs"], "shrunk": None}
    source = next(event for event in real_runs.events(True) if event["type"] == "source" and event["of"] == shown["vllm"])
    assert shown["source"] == {"path": source["path"], "line": source["line"]}
    assert told.pieces["sources"][shown["vllm"]]["text"] == source["text"]


def test_the_smallest_run_that_shows_it_comes_along():
    event = next(event for event in real_runs.events(True) if event.get("nodeid") == VICTIM)
    pair = event["runs"][1]
    told = Page(page(run_of(event | {"finding": event["finding"] | {"run": pair}})))
    assert told.runs_of(told.run["claims"][0])["shrunk"] == pair
    assert "run" not in told.run["claims"][0]["finding"]


def test_what_failed_has_its_runs_and_others_while_there_is_room(monkeypatch):
    whole = Page(page(real_runs.run()))
    assert all("runs" in claim for claim in whole.run["claims"])
    monkeypatch.setattr("reports.claim_data.ROOM", 0)
    told = Page(page(real_runs.run()))
    for claim in told.run["claims"]:
        assert ("runs" in claim) == claim["failed"]
        assert ("missing" in claim) != claim["failed"]
    left_out = next(claim for claim in told.run["claims"] if "missing" in claim)
    assert left_out["missing"] == f"python -m reports reports/runs/run.jsonl --claim {left_out['nodeid']}"


def test_equal_runs_travel_once():
    event = real_runs.events(False)[-1]
    told = Page(page(run_of(event, event | {"nodeid": "another"})))
    assert len(told.pieces) == 3 and told.run["claims"][0]["runs"] == told.run["claims"][1]["runs"]


def test_the_concept_map_travels_as_the_run_file_has_it():
    told, alone = Page(page(real_runs.run())), Page(page(real_runs.run(), only=VICTIM))
    themes = next(event for event in real_runs.events(True) if event["type"] == "concepts")["themes"]
    assert told.run["concepts"] == alone.run["concepts"] == themes
    assert "preemption" in alone.run["claims"][0]["concepts"]
    assert Page(page(run_of(claim()))).run["concepts"] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_concept_travels_as_data(name):
    concepts = {"type": "concepts", "themes": [{"theme": HOSTILE[name], "concepts": [{"name": HOSTILE[name], "ours": HOSTILE[name], "vllm": HOSTILE[name]}]}]}
    told, tame = Page(page(run_of(claim(), concepts))), Page(page(run_of(claim())))
    assert [tag for tag, _ in told.tags] == [tag for tag, _ in tame.tags] and told.run["concepts"] == concepts["themes"]


def test_one_claim_alone():
    told = Page(page(real_runs.run(), only=VICTIM))
    assert [claim["nodeid"] for claim in told.run["claims"]] == [VICTIM]
    assert told.run["verdict"] == "1 of 1 claim did not hold."
    with pytest.raises(NoSuchClaim, match="has no claim nowhere::test"):
        page(real_runs.run(), only="nowhere::test")


def test_names_for_links_are_short_where_they_can_be():
    events = [claim(nodeid=name) for name in ("a.py::test_x", "b.py::test_x", "b.py::test_y")]
    assert [claim["id"] for claim in Page(page(run_of(*events))).run["claims"]] == ["a.py::test_x", "b.py::test_x", "test_y"]


def test_of_a_long_log_the_end():
    shown = Page(page(run_of(claim("ERROR", "failed", longrepr="x" * 1_000_000 + "THE ERROR")))).run["claims"][0]["longrepr"]
    assert len(shown) < 21_000 and shown.endswith("THE ERROR")


@pytest.mark.parametrize(("events", "footer", "sentence"), [
    ([claim(), claim()], True, "All 2 claims hold."),
    ([claim(), claim()], False, "All 2 claims hold so far."),
    ([claim(), claim("REFUTED", "failed")], True, "1 of 2 claims did not hold."),
    ([claim("REFUTED", misconception=True)], True, "The claim holds."),
    ([claim("UNTESTED", "skipped"), claim()], True, "1 of 2 claims could not be tested."),
    ([claim("UNTESTED", "failed"), claim("DIVERGED", "failed")], True, "1 of 2 claims did not hold, 1 could not be tested."),
    ([claim(), {"type": "test", "nodeid": "t", "outcome": "error", "duration": 0}], True, "The claim holds; 1 other test failed."),
    ([], True, "No claim ran."),
])
def test_the_sentence_on_top(events, footer, sentence):
    assert Page(page(run_of(*events, footer=footer))).run["verdict"] == sentence


def test_a_run_that_did_not_end_is_warned_of():
    assert "not come to its end" in Page(page(run_of(claim(), footer=False))).run["warning"]
    assert "status 2" in Page(page(run_of(claim(), status=2))).run["warning"]
    assert Page(page(run_of(claim(), status=1))).run["warning"] == ""


def test_the_counts_tell_beliefs_and_registered_divergences_apart():
    events = [claim(), claim("REFUTED", misconception=True), claim("REFUTED", "failed"), claim("DIVERGED", known_divergence={"reason": "r"}),
              claim("DIVERGED", "failed"), claim("CONFIRMED", "failed", misconception=True), claim("ERROR", "failed", longrepr="Traceback")]
    counts = dict(Page(page(run_of(*events))).run["counts"])
    assert {key for key, number in counts.items() if number} == {"confirmed", "misconception", "refuted", "known", "diverged", "upheld", "error"}


def test_a_header_without_facts_makes_a_page():
    assert Page(page(Run(Path("run.jsonl")))).run["verdict"] == "No claim ran so far."


def test_markdown_of_a_hostile_sentence_is_one_line_of_text():
    table = markdown([claim("DIVERGED", "failed", text) for text in HOSTILE.values()])
    assert "<img" not in table and "| onerror" not in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1, "a theme has broken its row"
    assert len([line for line in table.splitlines() if line.startswith("- **")]) == len(HOSTILE)
    assert max(map(len, table.splitlines())) < 5_000
