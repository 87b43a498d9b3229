"""The page of the experiments, looked at in a real browser, and what lists them."""
import json
import re

import pytest

from reference.experiments.__main__ import experiments
from reference.experiments.record import Record
from reports.experiments import NotARecord, main, page as page_of, read_record, shown
from spec.reports.browser import browser, page, troubles    # noqa: F401 (fixtures)

POOLS = [16, 64, 512]


def a_record(folder, **texts):
    """A record as an experiment writes it."""
    record = Record("storm", texts.get("question", "What does it cost?"), "cpu")
    record.table(texts.get("title", "Costs"), ["pool", "steps", "words"], [[pool, 1200 / pool, texts.get("words")] for pool in POOLS])
    record.plot("Steps", "pool [blocks]", "steps", POOLS, [
        {"label": texts.get("label", "as it comes"), "engine": engine, "values": [1200 / pool for pool in POOLS]} for engine in ("impl", "vllm")], log=True)
    return record.write(folder)


def test_each_number_is_in_a_table_and_each_plot_is_drawn(tmp_path, page):
    path = tmp_path / "page.html"
    assert main([str(a_record(tmp_path)), "-o", str(path)]) == 0
    page.goto(path.as_uri())
    assert page.locator("h2").all_text_contents() == ["What does it cost?"]
    rows = [row.locator("th, td").all_text_contents() for row in page.locator("tbody tr").all()]
    assert rows == [["16", "75", "—"], ["64", "18.75", "—"], ["512", "2.344", "—"]]
    assert page.locator(".plot canvas").count() == 1
    assert "storm on cpu" in page.locator("header").text_content()
    page.locator(".u-over").hover()
    assert re.fullmatch(r"pool \[blocks\] 64: as it comes \(impl\) 18\.8, as it comes \(vllm\) 18\.8", page.locator(".readout").text_content())


def test_both_engines_are_seen_where_they_did_the_same(tmp_path, page):
    """vLLM's ring lies around the point of ours, which would cover one of its own size."""
    path = tmp_path / "page.html"
    path.write_text(page_of([read_record(a_record(tmp_path))]), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.evaluate("drawn[0].chart.series.slice(1).map(line => [line.label, line.points.size])") == [["as it comes", 5], ["as it comes", 11]]


def test_hostile_words_are_shown_and_do_nothing(tmp_path, page):
    hostile = '</script><img src=x onerror="document.title=1">'
    path = tmp_path / "page.html"
    path.write_text(page_of([read_record(a_record(tmp_path, question=hostile, words=hostile, label=hostile, title=hostile))]), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator("img").count() == 0 and page.title() == "Experiments · InferLab"
    assert hostile in page.locator("h2").text_content() and page.locator("canvas").count() == 1


def test_stacked_bars_are_as_long_as_their_numbers(tmp_path, page):
    record = Record("budget", "Where does it go?", "cpu")
    record.bars("A step", "ms", ["attention", "never", "idle"], [["impl <b>", [3.0, 0.0, 1.0]], ["vllm", [1.2, 0.0, 0.8]]])
    path = tmp_path / "page.html"
    path.write_text(page_of([read_record(record.write(tmp_path))]), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator(".legend.parts span").all_text_contents() == ["attention", "idle"], "a part that is nowhere needs no colour"
    assert page.locator(".whole").all_inner_texts() == ["impl <b>\n4", "vllm\n2"]
    bars = [[segment.bounding_box()["width"] for segment in bar.locator("span").all()] for bar in page.locator(".bar").all()]
    whole = page.locator(".bar").first.bounding_box()["width"]
    assert [[round(width / whole, 2) for width in bar] for bar in bars] == [[0.75, 0.25], [0.3, 0.2]]
    assert page.locator(".bar").first.get_attribute("aria-label") == "impl <b>: 4 ms, of which attention 3, idle 1"


@pytest.mark.parametrize("damage, words", [
    (lambda told: told | {"format": 2}, "format 2; this InferLab reads 1"), (lambda told: [], "other files"), (lambda told: {"format": 1}, "'tables'"),
    (lambda told: told | {"tables": [told["tables"][0] | {"columns": ["pool"]}]}, r"missing in \['Costs'\]"),
    (lambda told: told | {"plots": [told["plots"][0] | {"values": [1]}]}, r"missing in \['Steps'\]")])
def test_a_file_that_is_no_record_is_named(tmp_path, damage, words, capsys):
    path = a_record(tmp_path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(NotARecord, match=words):
        read_record(path)
    assert main([str(path), "-o", str(tmp_path / "page.html")]) == 1 and path.name in capsys.readouterr().err


def test_a_plot_with_a_value_too_few_is_refused_before_it_is_kept():
    record = Record("storm", "What?")
    with pytest.raises(ValueError, match="must have a value for each of the 2 places"):
        record.plot("Steps", "pool", "steps", [1, 2], [{"label": "short", "engine": "impl", "values": [1]}])
    assert record.plots == []


def test_bars_with_a_value_too_few_are_refused_by_who_writes_and_who_reads(tmp_path):
    record = Record("budget", "Where?")
    with pytest.raises(ValueError, match=r"\['short'\] must have a value for each of the 2 parts"):
        record.bars("A step", "ms", ["busy", "idle"], [["whole", [1, 2]], ["short", [1]]])
    assert record.stacks == []
    record.bars("A step", "ms", ["busy", "idle"], [["whole", [1, 2]]])
    path = record.write(tmp_path)
    told = json.loads(path.read_text())
    told["bars"][0]["rows"][0][1].pop()
    path.write_text(json.dumps(told))
    with pytest.raises(NotARecord, match=r"missing in \['A step'\]"):
        read_record(path)


def test_a_part_that_fails_is_named_and_the_rest_is_kept(tmp_path, capsys):
    record = Record("storm", "What?")
    with record.part("the first"):
        record.table("Costs", ["pool"], [[16]])
    with record.part("the second"):
        raise ValueError("no such device")
    with record.part("the third"):
        record.table("Gains", ["pool"], [[64]])
    assert [(table["title"], table["rows"]) for table in read_record(record.write(tmp_path))["tables"]] == [
        ("Costs", [[16]]), ("Gains", [[64]]), ("What failed", [["the second", "ValueError: no such device"]])]
    assert "in test_a_part_that_fails" in capsys.readouterr().err


def test_numbers_as_a_person_reads_them():
    assert [shown(value) for value in (None, 12345, 0.31941, 65504.0, "yes", 0)] == ["—", "12,345", "0.3194", "65,504", "yes", "0"]


def test_each_experiment_has_a_script_with_a_question_and_an_analysis():
    found = experiments()
    assert {"preemption_storm", "chunked_prefill_latency", "prefix_cache_hit_rate", "reproduce_oom"} <= set(found)
    assert all(question for question in found.values()), found
