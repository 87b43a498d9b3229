"""The log-book: an entry is started from a real run, finished by hand, and rendered so that it can do no harm."""
import json
import subprocess
import sys
from datetime import date

import pytest

from reports import log_book
from reports.log_book import NoSuchClaim, begin, entries, find, page
from reports.markdown import render
from reports.plain_text import fenced, for_markdown, unescaped
from reports.predictions import append, read
from spec.bench.test_plugin import BELIEF, HEAD, TRUE, lab
from spec.reports.browser import browser, page as opened, troubles  # noqa: F401

HOSTILE = '</style><script>document.title = "taken"</script><img src=x onerror="alert(1)"> \u202eevil\x1b[31m `code` *bold* [a](javascript:b) # ``` |'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A lab in which two claims were run, one of them a belief that fell."""
    folder = tmp_path_factory.mktemp("lab")
    status, told = lab(folder, TRUE + BELIEF.removeprefix(HEAD))
    assert status == 0, told
    return folder


def test_an_entry_is_started_from_a_run(folder, tmp_path):
    predicted = tmp_path / "predictions.jsonl"
    append(predicted, "prediction", claim="c", nodeid="n", theme="t", sentence="It ends after three steps.", vllm="0.32.0", holds=True, confidence=85)
    path = begin("test_belief", folder / "reports/runs", tmp_path / "log", read(predicted))
    [entry] = entries(tmp_path / "log")
    assert path.name == f"{date.today()}-belief.md" and entry.path == path
    assert entry.facts == {"date": f"{date.today()}", "claim": "test_claims.py::test_belief", "verdict": "misconception REFUTED",
                           "predicted": "yes, 85 % sure", "vllm": "0.32.0"}
    assert entry.title == "It ends after three steps."
    for words in ("## What I believed", "yes, 85 % sure. Because …", "REFUTED, vLLM 0.32.0 does otherwise", "> step 3, vLLM", "a (length)",
                  "`v1/core/sched/scheduler.py::Scheduler.schedule`", "workload(num_blocks=5)", ".request('a', prompt=6, max_tokens=4)"):
        assert words in entry.body, words


def test_an_entry_is_never_overwritten(folder, tmp_path):
    path = begin("test_true", folder / "reports/runs", tmp_path, [])
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        begin("test_true", folder / "reports/runs", tmp_path, [])
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_claim_is_named_so_that_it_is_one(folder, tmp_path):
    runs = folder / "reports/runs"
    assert find("test_claims.py::test_true", runs)["nodeid"] == "test_claims.py::test_true"
    with pytest.raises(NoSuchClaim, match="2 claims.*\n.*::test_belief\n.*::test_true"):
        find("test_", runs)
    with pytest.raises(NoSuchClaim, match="say which claim: make log CLAIM="):
        find("", runs)
    with pytest.raises(NoSuchClaim, match="no run here knows a claim called nothing"):
        find("nothing", runs)
    # The newest run that has the claim is the one that counts.
    older, newer = ({"type": "claim", "nodeid": "test_claims.py::test_true", "sentence": words, "verdict": "CONFIRMED"} for words in ("old", "new"))
    for name, event in (("20990101-000000-1", older), ("20990102-000000-1", newer), ("20990103-000000-1", {"type": "test", "nodeid": "x"})):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(event) + "\n{half a li")
    assert find("test_true", tmp_path)["sentence"] == "new"
    # A run that was killed in the middle of this very claim does not have it.
    (tmp_path / "20990104-000000-1.jsonl").write_text(json.dumps(newer | {"sentence": "torn"})[:-5])
    assert find("test_true", tmp_path)["sentence"] == "new"


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(log_book, "LOG", tmp_path / "log")
    monkeypatch.setattr(log_book, "RUNS", folder / "reports/runs")
    monkeypatch.setattr(log_book, "PAGE", tmp_path / "log_book.html")
    assert log_book.main(["new", "belief"]) == 0
    assert "-belief.md" in capsys.readouterr().out and "It ends after three steps." in (tmp_path / "log_book.html").read_text()
    assert log_book.main(["new", "belief"]) == 1 and "an entry of today already" in capsys.readouterr().err
    assert log_book.main(["new", "nothing"]) == 1 and "pytest -k" in capsys.readouterr().err
    done = subprocess.run([sys.executable, "-m", "reports.log_book"], cwd=log_book.HERE.parent, capture_output=True, text=True)
    assert done.returncode == 2 and "{new,page}" in done.stderr


def test_a_hostile_claim_is_text_in_its_entry(tmp_path):
    event = {"type": "claim", "nodeid": f"t.py::test_{HOSTILE}", "sentence": HOSTILE, "verdict": "REFUTED", "vllm": HOSTILE, "workload": HOSTILE,
             "engine": HOSTILE, "reference": {"version": HOSTILE}, "finding": {
                 "headline": HOSTILE, "rows": [{"step": 1, "differs": True, "ours": [HOSTILE], "theirs": ["```", HOSTILE]}]}}
    (tmp_path / "20990101-000000-1.jsonl").write_text(json.dumps(event) + "\n")
    path = begin("test_", tmp_path, tmp_path / "log", [])
    assert "\x1b" not in path.read_text() and "\u202e" not in path.read_text()
    assert path.parent == tmp_path / "log", "a test's name leads nowhere else"
    html = page(tmp_path / "log")
    assert "<script" not in html and "<img" not in html and "javascript:b</a>" not in html
    # The fences and escapes held: the entry has its headings and its three blocks, and not one more.
    assert html.count("<h3>") == 5 and html.count("<h2>") == 1 and html.count("<pre") == 2 and "<a href" in html.partition("<main>")[0]


@pytest.mark.parametrize(("markdown", "html"), [
    ("# One\n## Two", "<h2>One</h2>\n<h3>Two</h3>"),
    ("a\nb\n\nc", "<p>a b</p>\n<p>c</p>"),
    ("- a\n  more\n- b", "<ul><li>a more</li><li>b</li></ul>"),
    ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    ("> said", "<blockquote><p>said</p></blockquote>"),
    ("````py\n```\n<b>\n````\nafter", '<pre tabindex="0"><code>```\n&lt;b&gt;</code></pre>\n<p>after</p>'),
    ("```\nnever closed", '<pre tabindex="0"><code>never closed</code></pre>'),
    ("`a<b` and ``c`d``", "<p><code>a&lt;b</code> and <code>c`d</code></p>"),
    ("**bold** 2**3 * 4", "<p><strong>bold</strong> 2**3 * 4</p>"),
    ("[it](https://example.org/?a&b)", '<p><a href="https://example.org/?a&amp;b" rel="noreferrer">it</a></p>'),
    ("[it](javascript:alert) [x](/etc)", "<p>it x</p>"),
    ('[<b>](https://e.org/"onclick="x)', '<p><a href="https://e.org/&quot;onclick=&quot;x" rel="noreferrer">&lt;b&gt;</a></p>'),
    ("<b>&amp;</b>", "<p>&lt;b&gt;&amp;amp;&lt;/b&gt;</p>"),
    (r"\*no\* \<b\> \`c\`", "<p>*no* &lt;b&gt; `c`</p>"),
    ("", ""), ("```", '<pre tabindex="0"><code></code></pre>'), ("`", "<p>`</p>"), ("#no", "<p>#no</p>"),
])
def test_markdown(markdown, html):
    assert render(markdown) == html


@pytest.mark.parametrize("text", [HOSTILE.replace("\u202e", "").replace("\x1b", ""), "- a", "1. b", "# c", "_d_ e_f", "2026-11-23", "\\", "+ g"])
def test_text_is_itself_in_markdown(text):
    """Escaped, rendered and read in the browser's words, it is what it was."""
    import html
    rendered = render(for_markdown(text))
    assert rendered.startswith("<p>") and html.unescape(rendered[3:-4]) == text and "<" not in rendered[3:-4]
    assert unescaped(for_markdown(text)) == text


def test_a_long_hostile_text_is_rendered_at_once():
    for piece in ("`", "[", "**", "](", "\\", "> ", "- ", "``` `"):
        assert render(piece * 30_000)
    assert fenced("`" * 5).startswith("``````\n")


def test_the_page_in_a_browser(folder, tmp_path, opened):  # noqa: F811
    begin("test_belief", folder / "reports/runs", tmp_path / "log", [])
    (tmp_path / "log/2020-02-02-hostile.md").write_text(f"---\nclaim: {HOSTILE}\n---\n# {HOSTILE}\n\n{HOSTILE}\n")
    (tmp_path / "log/2020-02-03-bare.md").write_text("only a paragraph")
    (tmp_path / "log/README.md").write_text("# not an entry")
    (tmp_path / "log_book.html").write_text(page(tmp_path / "log"), encoding="utf-8")
    opened.goto((tmp_path / "log_book.html").as_uri() + "#2020-02-02-hostile")
    assert opened.title() == "Log-book · InferLab"
    assert [article.get_attribute("id") for article in opened.locator("article").all()] == [
        f"{date.today()}-belief", "2020-02-03-bare", "2020-02-02-hostile"]
    assert opened.locator("article h2").first.inner_text() == "It ends after three steps."
    assert 'document.title = "taken"' in opened.locator("article").last.inner_text()
    assert opened.locator("script, img").count() == 0
    assert opened.locator("article").last.bounding_box()["y"] < 900, "the address leads to the entry"
    for width in (1280, 390):
        opened.set_viewport_size({"width": width, "height": 844})
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
