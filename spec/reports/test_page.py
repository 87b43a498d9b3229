"""The page: everything a run says is on it, and nothing a run says can become part of it."""
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports.job_summary import markdown
from reports.page import page
from reports.run_file import Run

VOID = {"meta", "input", "br"}
HOSTILE = {
    "script": "</script><img src=x onerror=alert(1)>",
    "style": "</style></pre></details>",
    "attribute": "\" onclick='alert(1)' x=\"",
    "template": "$style ${title} $$ {0} %s",
    "right to left": "مرحبا \u202eevil\u202c",
    "emoji": "👩‍🚀🦙\ufe0f",
    "control": "\x00\x1b[31m\r\n\u2028",
    "half a character": "\ud800",
    "long": "x" * 100_000,
}


class Page(HTMLParser):
    """The page as a tree would have it: tags that close what they opened, and the text between them."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else None, data))

    @property
    def text(self):
        return "".join(data for tag, data in self.texts if tag not in ("script", "style"))

    def having(self, name):
        return [attrs for tag, attrs in self.tags if name in (attrs.get("class") or "").split()]


def claim(verdict="CONFIRMED", outcome="passed", text="b", **more):
    """A claim, every text of which is `text`."""
    row = {"step": 7, "differs": True, "ours": [text, "same"], "theirs": ["same"]}
    finding = {"headline": text, "step": 7, "what": text, "ours": text, "theirs": "6", "rows": [row], "ours_reasons": [text],
               "shrunk": text, "source": text, "next": text, "remedy": text}
    return {"type": "claim", "nodeid": text, "outcome": outcome, "duration": 0.5, "sentence": text, "theme": text, "vllm": text,
            "about": [text], "verdict": verdict, "misconception": False, "known_divergence": None, "engine": text,
            "reference": {"mode": "live", "version": text, "date": text}, "workload": text,
            "finding": None if verdict == "CONFIRMED" else finding} | more


def run_of(*events, footer=True, text="b"):
    header = {"type": "header", "started": "2026-11-22T10:00:00+00:00", "command": ["pytest", text], "python": "3.11.7", "folder": text,
              "machine": {"platform": text, "architecture": "x86_64", "cpus": 2}, "lab": {"impl": text, "reference": {"version": text}}}
    return Run(Path("run.jsonl"), header, list(events), {"type": "footer", "ended": "2026-11-22T10:00:09+00:00", "exit_status": 0} if footer else None)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_text(name):
    def run(text):
        known = {"reason": text, "link": "javascript:" + text}
        broken = {"type": "test", "nodeid": text, "outcome": "failed", "duration": 0, "longrepr": text}
        return run_of(claim(text=text), claim("DIVERGED", "failed", text), claim("DIVERGED", text=text, known_divergence=known), broken, text=text)

    html = page(run(HOSTILE[name]))
    # A theme's slashes are marks of the page's own, so the tame text has as many.
    parsed, tame = Page(html), Page(page(run("/".join(["tame"] * (1 + HOSTILE[name].count("/"))))))
    # The same text in every place: the page is that of a tame text, tag by tag, apart from the words that were found to differ.
    assert [tag for tag, _ in parsed.tags if tag != "mark"] == [tag for tag, _ in tame.tags if tag != "mark"]
    assert [sorted(attrs) for tag, attrs in parsed.tags if tag != "mark"] == [sorted(attrs) for tag, attrs in tame.tags if tag != "mark"]
    html.encode("utf-8")
    for invisible in "\x00\x1b\u202e\u2028":
        assert invisible not in html


@pytest.mark.parametrize("name", ["script", "template", "emoji", "long"])
def test_hostile_text_is_shown_as_it_is(name):
    assert HOSTILE[name] in Page(page(run_of(claim(text=HOSTILE[name])))).text


def test_what_reorders_text_is_spelt_out():
    assert r"مرحبا \u202eevil\u202c" in Page(page(run_of(claim(text=HOSTILE["right to left"])))).text


def test_only_the_web_is_linked():
    links = [attrs["href"] for address in ("https://example.org/1", "javascript:alert(1)", "file:///etc")
             for tag, attrs in Page(page(run_of(claim("DIVERGED", known_divergence={"reason": "r", "link": address})))).tags if tag == "a"]
    assert links == ["https://example.org/1"]


def test_the_page_asks_for_nothing():
    parsed = Page(page(run_of(claim("DIVERGED", "failed"))))
    assert not [attrs for _, attrs in parsed.tags if {"src", "srcset", "href"} & attrs.keys()]
    policy = next(attrs["content"] for _, attrs in parsed.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


def test_what_failed_comes_first_and_is_open():
    events = [claim(text="good"), claim("DIVERGED", "failed", "bad"), claim("REFUTED", text="belief", misconception=True)]
    claims = [attrs for tag, attrs in Page(page(run_of(*events))).tags if "data-kind" in attrs]
    assert [(attrs["data-kind"], "open" in attrs) for attrs in claims] == [("diverged", True), ("misconception", False), ("confirmed", False)]


def test_a_finding_is_told_whole():
    found = claim("DIVERGED", "failed", engine="impl", reference={"mode": "recorded", "version": "0.32.0", "date": "2026-11-22"}, finding={
        "headline": "HEADLINE", "step": 7, "what": "free_blocks", "ours": "6 5 4", "theirs": "4 5 6", "ours_reasons": ["REASON"],
        "rows": [{"step": 6, "differs": False, "ours": ["quiet"], "theirs": ["quiet"]},
                 {"step": 7, "differs": True, "ours": ["free 6"], "theirs": ["free 4"]}],
        "shrunk": "SHRUNK", "source": "scheduler.py:915", "next": "pytest NEXT", "remedy": "REMEDY"})
    parsed = Page(page(run_of(found)))
    for words in ("HEADLINE", "step 7 · free_blocks", "REASON", "SHRUNK", "scheduler.py:915", "pytest NEXT", "REMEDY", "≠ differs",
                  "vLLM 0.32.0, recorded, 2026-11-22"):
        assert words in parsed.text
    assert len(parsed.having("differs")) == 1
    marked = [data for tag, data in parsed.texts if tag == "mark"]
    assert marked == ["6", "4", "4", "6", "6", "4"]  # of "6 5 4" and "4 5 6", then of the step


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
    parsed = Page(page(run_of(*events, footer=footer)))
    assert [data for tag, data in parsed.texts if tag == "h1"] == [sentence]


def test_the_counts_tell_beliefs_and_registered_divergences_apart():
    events = [claim(), claim("REFUTED", misconception=True), claim("REFUTED", "failed"), claim("DIVERGED", known_divergence={"reason": "r"}),
              claim("DIVERGED", "failed"), claim("CONFIRMED", "failed", misconception=True), claim("ERROR", "failed", longrepr="Traceback")]
    parsed = Page(page(run_of(*events)))
    boxes = {attrs["value"] for tag, attrs in parsed.tags if attrs.get("type") == "checkbox" and "checked" in attrs}
    assert boxes == {"confirmed", "misconception", "refuted", "known", "diverged", "upheld", "error"}
    assert "Traceback" in parsed.text


def test_a_header_without_facts_makes_a_page():
    assert "No claim ran" in Page(page(Run(Path("run.jsonl")))).text


def test_markdown_of_a_hostile_sentence_is_one_line_of_text():
    table = markdown([claim("DIVERGED", "failed", text) for text in HOSTILE.values()])
    assert "<img" not in table and "| onerror" not in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1, "a theme has broken its row"
    assert len([line for line in table.splitlines() if line.startswith("- **")]) == len(HOSTILE)
    assert max(map(len, table.splitlines())) < 5_000
