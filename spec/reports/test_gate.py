"""The gate: which ratios fail a build. Its register is as strict as that of the known divergences."""
import json
import os
import time

import pytest

from reports.gpu_results import RESULTS
from spec.benchmarks import gate
from spec.benchmarks.gate import KNOWN, MET, MISSED, STALE, UNMEASURED, WORSE, Bar, bars_of, judge
from spec.benchmarks.known_misses import KNOWN_MISSES, KnownMiss
from spec.reports.bench_files import one, session
from spec.reports.test_gpu_results import DECODE, FACTS, RATE, SORT

RECORDS = sorted(RESULTS.glob("*.json"))
SLOW = (KnownMiss("decode attention, 64 x 4,096", "1.10x vLLM", {"NVIDIA H200": 0.95}, "it reads what must be read"),)


def bar(reached, gpu="NVIDIA H200", wanted=1.10):
    return Bar(gpu, "decode attention, 64 x 4,096", f"{wanted:.2f}x vLLM", wanted, reached)


def written(folder, *rows):
    session(folder, "bench.json", [one("test_x", None, FACTS | row) for row in rows])
    return str(folder / "bench.json")


@pytest.mark.parametrize("reached, gpu, verdict", [
    (1.10, "NVIDIA H100", MET), (1.09, "NVIDIA H100", MET), (1.07, "NVIDIA H100", MISSED), (None, "NVIDIA H100", UNMEASURED),
    (0.95, "NVIDIA H200", KNOWN), (0.94, "NVIDIA H200", KNOWN), (0.92, "NVIDIA H200", WORSE), (1.11, "NVIDIA H200", KNOWN), (1.13, "NVIDIA H200", STALE),
])
def test_a_ratio_is_judged_by_its_bar_its_noise_and_what_is_known_of_it_on_this_gpu(reached, gpu, verdict):
    assert judge(bar(reached, gpu), SLOW)[0] == verdict


@pytest.mark.parametrize("reached, verdict", [(1.13, MET), (1.12, MISSED)])
def test_engines_differ_more_from_run_to_run_than_kernels(reached, verdict):
    row = FACTS | RATE | {"bars": {"1.20x vLLM": "missed"}, "ratio to vLLM": reached}
    assert [judge(each, ())[0] for each in bars_of(row)] == [verdict]


@pytest.mark.parametrize("reached, verdict", [(0.93, WORSE), (0.95, KNOWN), (1.13, KNOWN)])
def test_what_rests_on_the_host_may_be_met_on_another_host(reached, verdict):
    assert judge(bar(reached), [SLOW[0]._replace(strict=False)])[0] == verdict


def test_the_bars_of_a_row():
    found = list(bars_of(FACTS | DECODE)) + list(bars_of(FACTS | SORT)) + list(bars_of(FACTS | RATE))
    assert [(each.bar, each.wanted, each.reached) for each in found] == [
        ("1.10x vLLM", 1.10, 0.9494), ("85% of ceiling", 0.85, 0.93), ("3.00x torch.sort", 3.0, 5.25), ("1.20x vLLM", 1.2, 1.0435), ("70% of ceiling", 0.7, 0.64)]
    words = FACTS | RATE | {"bars": {"none": "missed", "at most 2x vLLM's": "met"}}
    assert [judge(each, ())[0] for each in bars_of(words)] == [MISSED, MET]
    assert list(bars_of({"ratio": 0.5})) == [], "not of a GPU"


def test_on_two_gpus_whatever_is_a_speed_is_to_be_vllms_at_least():
    row = FACTS | {"two gpus row": "output tokens a second, one request alone", "unit": "tokens/s", "ratio to vLLM": 0.93}
    assert [judge(each, ())[0] for each in bars_of(row)] == [MISSED] and [judge(each, ())[0] for each in bars_of(row | {"ratio to vLLM": 0.95})] == [MET]
    del row["ratio to vLLM"]
    assert [judge(each, ())[0] for each in bars_of(row)] == [UNMEASURED] and list(bars_of(row | {"unit": "near-ties"})) == []


def test_what_vllm_did_not_take_part_in_is_not_passed():
    alone = {name: value for name, value in DECODE.items() if "vLLM" not in name}
    assert [judge(each, ())[0] for each in bars_of(FACTS | alone)] == [UNMEASURED, MET]


@pytest.mark.parametrize("change, code", [({}, 0), ({"ratio to vLLM": 0.90}, 1), ({"ratio to vLLM": 1.20}, 1), ({"ours of ceiling": 0.5}, 1)])
def test_one_bar_that_fails_fails_the_build_and_is_in_the_jobs_summary(tmp_path, monkeypatch, capsys, change, code):
    monkeypatch.setattr(gate, "KNOWN_MISSES", SLOW)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert gate.main([written(tmp_path, DECODE | change, SORT)]) == code
    told = capsys.readouterr().out
    assert f"3 bars on NVIDIA H200: {code} failed." in told and told.strip() == (tmp_path / "summary.md").read_text().strip()


@pytest.mark.parametrize("rows", [(), ({"kernel": "greedy", "shape": "x", "bar": ""},)], ids=["no row", "no bar"])
def test_a_gate_that_nothing_goes_through_fails(tmp_path, capsys, rows):
    assert gate.main([written(tmp_path, *rows)]) == 1
    assert "NothingMeasured: bench.json: no bar was measured on a GPU" in capsys.readouterr().err


def test_the_newest_file_is_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gate, "RUNS", tmp_path)
    monkeypatch.setattr(gate, "KNOWN_MISSES", SLOW)
    assert gate.main([]) == 1 and "reports/runs" in capsys.readouterr().err
    (tmp_path / "bench-2.json").write_text("{}")
    os.utime(tmp_path / "bench-2.json", (time.time() - 60,) * 2)
    written(tmp_path, DECODE)
    assert gate.main([]) == 0


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_committed_results_pass(path):
    assert gate.main([str(path)]) == 0


def test_each_entry_is_of_a_bar_that_was_missed_in_a_committed_result():
    """An entry that is misspelt would never be found stale."""
    found = {(each.row, each.bar, each.gpu): each.reached for path in RECORDS for row in json.loads(path.read_text())["benchmarks"] for each in bars_of(row["extra_info"])}
    for entry in KNOWN_MISSES:
        for gpu, reached in entry.reached.items():
            assert found[entry.row, entry.bar, gpu] == pytest.approx(reached, abs=0.0011), f"{entry.row} on {gpu}"
