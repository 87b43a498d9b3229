"""The committed results of a GPU, and what the README says of them."""
import json

import pytest

from reports import benchmark_plots, benchmark_runs, benchmarks, engine_table, gpu_results, two_gpus_table
from reports.gpu_results import ENGINES, KERNELS, TWO_GPUS
from spec.reports.bench_files import EPYC, one, session

FACTS = {"gpu": "NVIDIA H200", "driver": "580.1", "torch": "2.11.0", "triton": "3.6.0", "vllm": "0.32.0", "commit": "abc-dirty", "command": "pytest x",
         "ceilings": {"copy TB/s": 4.3000001, "product TFLOP/s": 790.0}}
DECODE = {"kernel": "decode attention", "shape": "64 x 4,096", "details": "bfloat16", "ours us": 200.123456, "ours TB/s": 4.0, "ours of ceiling": 0.93,
          "vLLM us": 190.0, "best of vLLM": "vLLM FA3", "ratio to vLLM": 0.9494, "bar": "1.10x vLLM, 85% of ceiling", "met": "missed", "absent": ""}
SORT = {"kernel": "top-k", "shape": "p 0.95", "details": "256 x 9", "ours us": 100.0, "ours TB/s": 1.0, "ours of ceiling": 0.5,
        "times as fast as torch.sort": 5.25, "bar": "3.00x torch.sort", "met": "met", "absent": "vLLM: needs it"}

ALIKE = {"dtype": "bfloat16", "max_model_len": 4096, "kv_cache_memory_bytes": 1 << 34}
RATE = {"engine row": "output tokens a second, 256 requests", "unit": "tokens/s", "arguments": {"impl": ALIKE | {"device": "cuda"}}, "absent": "",
        "ours tokens/s": 24_000.4, "vLLM tokens/s": 23_000.0, "ours spread": 0.02, "ratio to vLLM": 1.0435, "ours of ceiling": 0.64, "vLLM of ceiling": 0.61,
        "bars": {"1.20x vLLM": "missed", "70% of ceiling": "met"}}
WAITING = RATE | {"engine row": "time to the first token, 5 requests/s", "unit": "ms", "ours ms": 8.125, "ours p99 ms": 20.0, "vLLM ms": 9.0, "vLLM p99 ms": 30.0,
                  "bars": {}, "ratio to vLLM": 1.1077}

SECOND = {"two gpus row": "output tokens a second, 96 requests", "unit": "tokens/s", "absent": {}, "environment": {"NCCL_NVLS_ENABLE": "0"},
          "copy TB/s": {"0": 4.301, "1": 4.288}, "all-reduce us": {"1": 11.04, "96": 15.52}, "arguments": {"ours on one": {"dtype": "bfloat16", "kv_cache_memory_bytes": 200},
                                                               "ours on two": {"kv_cache_memory_bytes": 100}, "vLLM on two": {"kv_cache_memory_bytes": 100}},
          "ours on one tokens/s": 5000.4, "ours on one spread": 0.02, "ours on one of limit": 0.7, "ours on two tokens/s": 8000.0, "ours on two of limit": 0.56,
          "vLLM on two tokens/s": 8400.0, "two over one": 1.6, "predicted two over one": 1.5241, "ratio to vLLM": 0.952}
TIES = {name: SECOND[name] for name in ("copy TB/s", "arguments", "environment")} | {
    "two gpus row": "near-ties", "unit": "near-ties", "absent": {"vLLM on two": "did not start: it ended"}, "tokens": 1024, "ours on one near-ties": 12,
    "ours on one largest gap": 0.25, "ours on two near-ties": 9, "ours on two largest gap": 0.125}


def run_file(folder, *rows, name="bench.json", **more):
    found = [one(f"test_{row.get('kernel', 'engine')}", None, FACTS | row, shape=row.get("shape", row.get("engine row", row.get("two gpus row")))) for row in rows]
    found.append(one("test_decoding", 4, {"ratio": 2.0}))
    for each in found:
        each["stats"]["data"] = [0.25] * 31
    session(folder, name, found, machine=EPYC | {"node": "somebody's"}, **more)
    return folder / name


def record(path, kind=KERNELS, commit=None):
    return gpu_results.record([benchmark_runs.read_session(path)], kind, commit)


@pytest.mark.parametrize("kind", gpu_results.KINDS, ids=lambda kind: kind.name)
def test_the_readme_shows_the_newest_record_of_each_gpu(kind):
    newest = gpu_results.newest_records(kind)
    if not newest:
        pytest.skip("no results are committed: run `make bench` (for two GPUs `make bench-two-gpus`) on a GPU host, then python -m reports.gpu_results FILE")
    begin, end = kind.markers
    assert f"{begin}\n{gpu_results.tables(newest, kind)}\n{end}" in gpu_results.README.read_text(), "run: python -m reports.gpu_results"


def test_what_is_kept(tmp_path):
    kept = record(run_file(tmp_path, DECODE, SORT))
    assert [each["extra_info"]["kernel"] for each in kept["benchmarks"]] == ["decode attention", "top-k"]
    assert kept["benchmarks"][0]["stats"] == {"median": 0.25, "rounds": 11} and "somebody" not in json.dumps(kept)
    assert kept["benchmarks"][0]["extra_info"]["ours us"] == 200.12 and kept["benchmarks"][0]["extra_info"]["ceilings"]["copy TB/s"] == 4.3
    assert kept["commit_info"] == {"id": "abc", "dirty": True} and gpu_results.name_of(kept, KERNELS) == "nvidia-h200-2026-11-23.json"
    assert record(run_file(tmp_path, DECODE), commit="fed")["commit_info"] == {"id": "fed", "dirty": False}


def test_losses_are_in_the_table(tmp_path):
    lines = gpu_results.kernel_table(record(run_file(tmp_path, DECODE, SORT))).splitlines()
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
    old = record(run_file(tmp_path, DECODE, when="2026-11-20T02:10:00+00:00"))
    new = record(run_file(tmp_path / "runs", DECODE, when="2026-11-23T02:10:00+00:00"))
    for name, each in (("old", old), ("new", new)):
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(each))
    pages = []
    monkeypatch.setattr(benchmarks, "page", lambda sessions: pages.append(sessions) or "")
    assert benchmarks.main(["-o", str(tmp_path / "page.html")]) == 0
    assert [each.name for each in pages[0]] == ["bench.json", "old.json"]
    series = next(each for each in benchmark_runs.series_of(pages[0]) if each.title == "Decode attention")
    assert len(series.runs) == 2


def test_engines_are_kept_apart_from_kernels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gpu_results, "README", tmp_path / "README.md")
    gpu_results.README.write_text("a\n<!-- kernels:begin -->\nold\n<!-- kernels:end -->\nb\n<!-- engines:begin -->\nold\n<!-- engines:end -->\nc\n")
    both, later = run_file(tmp_path, DECODE, RATE), run_file(tmp_path, WAITING, name="server.json", when="2026-11-23T02:20:00+00:00")
    assert gpu_results.main([str(both), str(later)]) == 0
    engines, kernels = (json.loads(path.read_text()) for path in sorted((tmp_path / "results").iterdir()))
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["engines-nvidia-h200-2026-11-23.json", "nvidia-h200-2026-11-23.json"]
    assert [each["extra_info"].get("engine row") for each in engines["benchmarks"]] == [RATE["engine row"], WAITING["engine row"]]
    assert [each["extra_info"].get("kernel") for each in kernels["benchmarks"]] == ["decode attention"]
    written = gpu_results.README.read_text()
    assert "old" not in written and written.index("decode attention") < written.index("\nb\n") < written.index("256 requests") < written.index("\nc\n")
    assert gpu_results.main([]) == 0 and gpu_results.README.read_text() == written


def test_a_rehearsal_is_not_kept(tmp_path, monkeypatch, capsys):
    """It names no GPU."""
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    found = [one("test_engine", None, {name: value for name, value in (FACTS | RATE).items() if name != "gpu"})]
    session(tmp_path, "bench.json", found)
    assert gpu_results.main([str(tmp_path / "bench.json")]) == 1 and not (tmp_path / "results").exists()


def test_two_commits_are_not_one_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    other = run_file(tmp_path, RATE | {"commit": "fed"}, name="other.json")
    assert gpu_results.main([str(run_file(tmp_path, RATE)), str(other)]) == 1
    assert "2 pairs of GPU and commit" in capsys.readouterr().err


def test_the_engines_losses_are_in_their_table(tmp_path):
    alone = {name: value for name, value in WAITING.items() if not name.startswith("vLLM") and name != "ratio to vLLM"} | {"absent": "vLLM did not start"}
    lines = engine_table.table(record(run_file(tmp_path, RATE, WAITING, alone), ENGINES)).splitlines()
    assert "NVIDIA H200, driver 580.1, torch 2.11.0, triton 3.6.0, vLLM 0.32.0; commit abc-dirty, 2026-11-23. In the same run a copy moved 4.30 TB/s." in lines[0]
    assert "kv_cache_memory_bytes=17179869184; vLLM with VLLM_USE_FLASHINFER_SAMPLER=0" in lines[0] and lines[0].endswith("Commands: `pytest x`")
    assert lines[4:] == [
        "| output tokens a second, 256 requests | 24,000 tokens/s (± 1.0 %) | 23,000 tokens/s | 1.04 | 64 %, 61 % | 1.20 × vLLM: **missed**, 70 % of the limit: met |",
        "| time to the first token, 5 requests/s | 8.12 ms (p99 20) | 9 ms (p99 30) | 1.11 | 64 %, 61 % |  |",
        "| time to the first token, 5 requests/s | 8.12 ms (p99 20) | not measured |  | 64 % |  |", "", "vLLM did not start"]


def test_the_two_gpus_losses_are_in_their_table(tmp_path):
    kept = record(run_file(tmp_path, RATE, SECOND, TIES), TWO_GPUS)
    assert gpu_results.name_of(kept, TWO_GPUS) == "two-gpus-nvidia-h200-2026-11-23.json" and len(kept["benchmarks"]) == 2
    lines = two_gpus_table.table(kept).splitlines()
    assert lines[0].startswith("2 × NVIDIA H200, driver 580.1, ") and "a copy moved 4.30 and 4.29 TB/s, and an all-reduce by NCCL in a graph took 11.0 µs with 1 rows and 15.5 µs with 96 rows." in lines[0]
    assert "ours on one 200, ours on two 100, vLLM on two 100; vLLM with VLLM_USE_FLASHINFER_SAMPLER=0 NCCL_NVLS_ENABLE=0, otherwise" in lines[0]
    assert lines[4:] == [
        "| output tokens a second, 96 requests | 5,000 tokens/s (± 1.0 %) | 8,000 tokens/s | 8,400 tokens/s | 1.60 (1.52) | 0.95 | 70 %, 56 % |",
        "| near-ties | 12 of 1,024 near-ties (worst 0.25) | 9 of 1,024 near-ties (worst 0.12) | not measured |  |  |  |",
        "", "vLLM on two did not start: it ended"]


def test_two_gpus_have_a_place_of_their_own_in_the_readme_and_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(gpu_results, "README", tmp_path / "README.md")
    gpu_results.README.write_text("a\n<!-- engines:begin -->\nnone\n<!-- engines:end -->\nb\n<!-- two-gpus:begin -->\nold\n<!-- two-gpus:end -->\nc\n")
    assert gpu_results.main([str(run_file(tmp_path, SECOND, TIES))]) == 0
    assert [path.name for path in gpu_results.RESULTS.iterdir()] == ["two-gpus-nvidia-h200-2026-11-23.json"]
    written = gpu_results.README.read_text()
    assert "none" in written and "old" not in written and written.index("\nb\n") < written.index("8,400 tokens/s") < written.index("\nc\n")
    session = benchmark_runs.read_session(gpu_results.RESULTS / "two-gpus-nvidia-h200-2026-11-23.json")
    assert [measured.ratio for series in benchmark_runs.series_of([session]) for measured in series.newest.values()] == [0.952, None]


def test_the_readme_has_a_place_for_each_kind():
    for kind in gpu_results.KINDS:
        assert all(gpu_results.README.read_text().count(marker) == 1 for marker in kind.markers), f"put {kind.markers} where its table shall be"


def test_a_load_is_one_plot_of_both_engines_and_of_the_slowest(tmp_path):
    found = [one("test_time_to_the_first_token_under_load", None, FACTS | WAITING | {"ours ms": rate / 2}, requests_a_second=rate) for rate in (5, 60)]
    series, = benchmark_runs.series_of([session(tmp_path, found=found)])
    plot = next(each for each in benchmark_plots.plots_of(series) if each["unit"] == "ms")
    assert plot["x"]["name"] == "requests a second" and plot["x"]["values"] == [5, 60] and plot["title"] == "How long it takes, ms"
    assert {line["label"]: (line["side"], line["tail"], line["values"]) for line in plot["series"]} == {
        "ours": ("ours", False, [2.5, 30.0]), "ours, 99th percentile": ("ours", True, [20.0, 20.0]),
        "vLLM": ("vLLM", False, [9.0, 9.0]), "vLLM, 99th percentile": ("vLLM", True, [30.0, 30.0])}


def test_a_file_without_kernels_is_refused_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_results, "RESULTS", tmp_path / "results")
    assert gpu_results.main([str(run_file(tmp_path))]) == 1
    assert "no kernel and no engine that was measured on a GPU" in capsys.readouterr().err
    assert gpu_results.main([]) == 1
