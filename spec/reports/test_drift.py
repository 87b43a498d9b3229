"""The page and the table of vLLM's releases, from a small record made up for them."""
import re

import pytest

from reports import drift
from reports.drift_table import NOT_ASKED, NoRecord, changed, summary, truth
from spec.reports.browser import browser, hard_to_read, page, troubles    # noqa: F401 (fixtures)

PLACE = "v1/core/sched/scheduler.py::Scheduler.schedule"
ANSWERS = {
    "test_since": ("The cap spares a request that is alone.", {"0.29.0": ["fails", "it got 4"], "0.30.1": ["fails", "it got 4", "step 0, scheduled"], "0.31.0": ["holds"]}),
    "test_until": ("A <b>freed</b> block goes to the end.", {"0.29.0": ["holds"], "0.30.1": ["fails", "the front"], "0.31.0": ["fails", "the front"]}),
    "test_always": ("First come, first served.", {"0.29.0": ["holds"], "0.30.1": ["holds", "", "step 3, free_blocks"], "0.31.0": ["holds"]}),
    "test_absent": ("Active seats are among the seats.", {"0.29.0": ["absent", "there is no max_num_active_seqs"],
                                                          "0.30.1": ["vacuous", "there was no refusal"], "0.31.0": ["holds"]}),
    "test_new": ("A sentence of today.", {}),
}


@pytest.fixture
def record():
    claims = [{"name": name, "theme": "scheduler/admission", "sentence": sentence, "misconception": name == "test_until", "vllm": PLACE, "digest": "0",
               "answers": answers} for name, (sentence, answers) in ANSWERS.items()]
    releases = [{"version": version, "asked": "2026-11-26", "built": f"2026-0{7 + index}-01"} for index, version in enumerate(("0.29.0", "0.30.1", "0.31.0"))]
    return {"format": 1, "releases": [*releases, {"version": "0.32.0", "asked": "2026-11-26", "error": "No matching | distribution"}], "claims": claims,
            "changes": [{"claim": "test_since", "from": "0.30.1", "to": "0.31.0", "diff": 0}], "diffs": ["@@ v1/core/sched/scheduler.py:5 → 6 @@\n-a </script>\n+b"]}


@pytest.mark.parametrize("holds, said", [
    ("111", "always"), ("000", "never"), ("001", "since 0.31"), ("100", "until 0.29"), ("010", "in 0.30"), ("101", "until 0.29, since 0.31"),
    ("0110", "0.30 to 0.31"), ("-11", "always"), ("1-1", "always"), ("---", NOT_ASKED)])
def test_true_since_and_until(holds, said):
    versions = [f"0.{29 + index}.0" for index in range(len(holds))]
    row = {"answers": {version: ["holds" if each == "1" else "fails"] for version, each in zip(versions, holds) if each != "-"}}
    assert truth(row, versions) == said


def test_what_did_not_happen_is_neither_true_nor_false(record):
    row = next(each for each in record["claims"] if each["name"] == "test_absent")
    assert truth(row, ["0.29.0", "0.30.1", "0.31.0"]) == "since 0.31" and changed(row)


def test_the_summary_has_a_row_for_each_release(record):
    said, _, _, _, *rows = summary(record).splitlines()
    assert said == ("5 sentences, 3 releases: 3 sentences have another answer in some release than in another; "
                    "not asked yet, because added or changed since: 1.")
    assert rows == ["| 0.29.0 | 2026-07-01 | 2 | 1 | 0 | 1 |  | 3 |", "| 0.30.1 | 2026-08-01 | 1 | 2 | 1 | 0 | 2 | 2 |",
                    "| 0.31.0 | 2026-09-01 | 3 | 1 | 0 | 0 | 2 | 4 |", "| 0.32.0 |  | no answer: No matching / distribution |  |  |  |  |  |"]


def test_the_readme_shows_the_record():
    readme = drift.README.read_text(encoding="utf-8")
    assert drift.with_summary(readme, drift.read(drift.RECORD)) == readme, "'make drift-page' puts the table of reports/drift.json into README.md"


def test_a_readme_keeps_what_is_around_the_table(record):
    told = drift.with_summary(f"before\n{drift.BEGIN}\nold\n{drift.END}\nafter", record)
    assert told.startswith("before\n") and told.endswith(f"\n{drift.END}\nafter") and "old" not in told and "| 0.31.0 |" in told


@pytest.mark.parametrize("text, why", [(None, "'make drift' asks the releases"), ("{", "no JSON"), ('{"format": 9}', "has format 9")])
def test_no_record_says_what_to_do(tmp_path, text, why):
    path = tmp_path / "drift.json"
    if text:
        path.write_text(text)
    with pytest.raises(NoRecord, match=why):
        drift.read(path)


def test_a_record_without_an_answer_is_a_page_too():
    assert drift.verdict({"releases": [], "claims": []}) == "No release of vLLM has answered yet."


def opened(tmp_path, page, record, anchor=""):
    path = tmp_path / "drift.html"
    path.write_text(drift.page(record), encoding="utf-8")
    page.goto(path.as_uri() + anchor)
    return page


def marks(page, name):
    return [cell.get_attribute("aria-label") for cell in page.locator(f"#{name} td[aria-label]").all()]


def test_the_page_opens_from_disk_with_what_changed(tmp_path, page, record):
    opened(tmp_path, page, record)
    assert page.locator("h1").text_content() == "Of 5 sentences about vLLM, 3 changed their answer between 0.29 and 0.31."
    assert [row.get_attribute("id") for row in page.locator("tr.claim").all()] == ["test_since", "test_until", "test_absent", "test_new"]
    assert marks(page, "test_since") == ["0.29.0: fails", "0.30.1: fails", "0.31.0: holds"]
    assert marks(page, "test_new") == [f"{version}: {NOT_ASKED}" for version in ("0.29.0", "0.30.1", "0.31.0")]
    assert page.locator("#test_since .truth").text_content() == "since 0.31"
    assert page.locator("#test_until button").inner_text().startswith("A <b>freed</b> block")
    assert page.locator("thead .missing").inner_text().split() == ["0.32.0", "no", "answer"]
    assert hard_to_read(page) == []


def test_the_filter_shows_all_or_what_is_looked_for(tmp_path, page, record):
    opened(tmp_path, page, record)
    page.locator("#changed").uncheck()
    assert page.locator("tr.claim").count() == 5 and page.locator("#shown").text_content() == "5 of 5"
    page.locator("#find").fill("alone")
    assert [row.get_attribute("id") for row in page.locator("tr.claim").all()] == ["test_since"]


def test_a_row_opens_with_reasons_and_the_source_of_both_releases(tmp_path, page, record):
    opened(tmp_path, page, record)
    page.locator("#test_since button").click()
    details = page.locator("tr.details")
    assert details.locator("li").all_inner_texts() == ["✕ 0.29.0 fails: it got 4", "✕ 0.30.1 fails: it got 4 · impl decides otherwise: step 0, scheduled", "● 0.31.0 holds"]
    assert details.locator("h3").inner_text() == "0.30.1 → 0.31.0, where the run passes"
    assert (details.locator(".remove").inner_text().strip(), details.locator(".add").inner_text().strip()) == ("-a </script>", "+b")
    assert hard_to_read(page) == []
    page.locator("#test_since button").click()
    assert details.count() == 0


def test_an_address_opens_its_claim(tmp_path, page, record):
    opened(tmp_path, page, record, "#test_until")
    assert page.locator("#test_until button").get_attribute("aria-expanded") == "true"


def test_the_page_runs_its_own_script_only(record):
    written = drift.page(record)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1]
    assert policy.startswith("default-src 'none'") and policy.count("'sha256-") == 1 and written.count("</script>") == 2
