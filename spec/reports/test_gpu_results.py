"""The committed results of a GPU, and what the README says of them."""
import json

import pytest

from reports import benchmark_runs, benchmarks, gpu_results
from spec.reports.bench_files import EPYC, one, session

FACTS = {"gpu": "NVIDIA H200", "driver": "580.1", "torch": "2.11.0", "triton": "3.6.0", "vllm": "0.32.0", "commit": "abc-dirty", "command": "pytest x",
         "ceilings": {"copy TB/s": 4.3000001, "product TFLOP/s": 790.0}}
DECODE = {"kernel": "decode attention", "shape": "64 x 4,096", "details": "bfloat16", "ours us": 200.123456, "ours TB/s": 4.0, "ours of ceiling": 0.93,
          "vLLM us": 190.0, "best of vLLM": "vLLM FA3", "ratio to vLLM": 0.9494, "bar": "1.10x vLLM, 85% of ceiling", "met": "missed", "absent": ""}
SORT = {"kernel": "top-k", "shape": "p 0.95", "details": "256 x 9", "ours us": 100.0, "ours TB/s": 1.0, "ours of ceiling": 0.5,
        "times as fast as torch.sort": 5.25, "bar": "3.00x torch.sort", "met": "met", "absent": "vLLM: needs it"}


def run_file(folder, *rows, **more):
    found = [one(f"test_{row['kernel']}", None, FACTS | row, shape=row["shape"]) for row in rows] + [one("test_decoding", 4, {"ratio": 2.0})]
    for each in found:
        each["stats"]["data"] = [0.25] * 31
    session(folder, "bench.json", found, machine=EPYC | {"node": "somebody's"}, **more)
    return folder / "bench.json"


def test_the_readme_shows_the_newest_record_of_each_gpu():
    newest = gpu_results.newest_records()
    if not newest:
        pytest.skip("no results are committed: run `make bench` on a GPU host, then python -m reports.gpu_results FILE")
    assert f"{gpu_results.BEGIN}\n{gpu_results.tables(newest)}\n{gpu_results.END}" in gpu_results.README.read_text(), "run: python -m reports.gpu_results"


def test_what_is_kept(tmp_path):
    kept = gpu_results.record(run_file(tmp_path, DECODE, SORT))
    assert [each["extra_info"]["kernel"] for each in kept["benchmarks"]] == ["decode attention", "top-k"]
    assert kept["benchmarks"][0]["stats"] == {"median": 0.25, "rounds": 11} and "somebody" not in json.dumps(kept)
    assert kept["benchmarks"][0]["extra_info"]["ours us"] == 200.12 and kept["benchmarks"][0]["extra_info"]["ceilings"]["copy TB/s"] == 4.3
    assert kept["commit_info"] == {"id": "abc", "dirty": True} and gpu_results.name_of(kept) == "nvidia-h200-2026-11-23.json"
    assert gpu_results.record(run_file(tmp_path, DECODE), "fed")["commit_info"] == {"id": "fed", "dirty": False}


def test_losses_are_in_the_table(tmp_path):
    lines = gpu_results.table(gpu_results.record(run_file(tmp_path, DECODE, SORT))).splitlines()
    assert "NVIDIA H200, driver 580.1, torch 2.11.0, triton 3.6.0, vLLM 0.32.0; commit abc-dirty, 2026-11-23" in lines[0]
    assert lines[4:] == [
        "| decode attention | 64 × 4,096; bfloat16 | 200.1 | 4.00 TB/s | 93 % | 190.0 (FA3) | 0.949 | 1.10 × vLLM, 85 % of ceiling | **missed** |",
        "| top-k | p 0.95; 256 × 9 | 100.0 | 1.00 TB/s | 50 % | not measured |  | 3.00 × torch.sort: 5.25 | met |"]


def test_the_page_shows_a_record_as_an_earlier_run_and_no_run_twice(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "results").mkdir()
    for name in benchmarks.HERE.glob("benchmarks.*"):
        (tmp_path / name.name).symlink_to(name)
    (tmp_path / "vendor").symlink_to(benchmarks.HERE / "vendor")
    monkeypatch.setattr(benchmarks, "HERE", tmp_path)
    old = gpu_results.record(run_file(tmp_path, DECODE, when="2026-11-20T02:10:00+00:00"))
    new = gpu_results.record(run_file(tmp_path / "runs", DECODE, when="2026-11-23T02:10:00+00:00"))
    for name, each in (("old", old), ("new", new)):
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(each))
    pages = []
    monkeypatch.setattr(benchmarks, "page", lambda sessions: pages.append(sessions) or "")
    assert benchmarks.main(["-o", str(tmp_path / "page.html")]) == 0
    assert [each.name for each in pages[0]] == ["bench.json", "old.json"]
    series = next(each for each in benchmark_runs.series_of(pages[0]) if each.title == "Decode attention")
    assert len(series.runs) == 2


def test_a_file_without_kernels_is_refused_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    assert gpu_results.main([str(run_file(tmp_path))]) == 1
    assert "no kernel that was measured on a GPU" in capsys.readouterr().err
    assert gpu_results.main([]) == 1
