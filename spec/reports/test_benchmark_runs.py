"""What pytest-benchmark wrote: read, put in order by machine and time, or refused by name."""
import os
import subprocess
import sys

import pytest

from reports import benchmark_plots, benchmark_runs, benchmarks
from spec.reports.bench_files import ATTENTION, START, decoding, one, session


def test_what_pytest_benchmark_writes_is_read(tmp_path):
    (tmp_path / "test_inner.py").write_text("""
import pytest

@pytest.mark.parametrize("size", [1, 8])
def test_sum(benchmark, size):
    benchmark.extra_info["ratio"] = size / 2
    benchmark.pedantic(sum, args=(range(size),), rounds=3)
""")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_benchmark.plugin", "--benchmark-json=bench.json", "test_inner.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert benchmarks.main([str(tmp_path / "bench.json"), "-o", str(tmp_path / "page.html")]) == 0
    series, = benchmark_runs.series_of([benchmark_runs.read_session(tmp_path / "bench.json")])
    assert (series.title, series.size_name, series.variant) == ("Sum", "size", "")
    assert {size: (each.ratio, each.rounds) for size, each in series.newest.items()} == {1: (0.5, 3), 8: (4.0, 3)}
    assert all(each.median > 0 for each in series.newest.values())
    assert "At least as fast as vLLM in 1 of 2 measurements, slower in 1." in (tmp_path / "page.html").read_text()


def test_a_benchmark_that_only_an_earlier_run_had_is_shown(tmp_path):
    series = benchmark_runs.series_of([session(tmp_path, found=[START]), session(tmp_path, "old.json", decoding(), "2026-11-20")])
    assert [(each.title, each.runs[0][0].name) for each in series] == [("Decoding", "old.json"), ("Time to the first token", "bench.json")]


def test_a_gpu_is_a_kind_of_machine_of_its_own(tmp_path):
    on_cpu = [each | {"extra_info": {name: value for name, value in each["extra_info"].items() if name != "gpu"}} for each in ATTENTION]
    series = benchmark_runs.series_of([session(tmp_path, found=ATTENTION), session(tmp_path, "old.json", on_cpu, "2026-11-20")])
    assert [(each.kind[2], len(each.runs)) for each in series] == [("NVIDIA H200", 1), ("", 1)]


def test_tests_of_one_name_are_told_apart_by_their_files(tmp_path):
    two = [each | {"fullname": each["fullname"].replace("bench_x", "bench_two_gpus")} for each in ATTENTION]
    series = benchmark_runs.series_of([session(tmp_path, found=[*ATTENTION, *two, START])])
    assert [(each.title, each.variant) for each in series] == [("Attention", "x · bf16"), ("Attention", "two gpus · bf16"), ("Time to the first token", "")]


def test_sizes_need_no_number(tmp_path):
    shapes = [one("test_attention", None, {"ratio": 1.5}, shape=shape, dtype="bf16") for shape in ("64 × 4,096", "8 × 32,768")]
    series, = benchmark_runs.series_of([session(tmp_path, found=shapes)])
    assert (series.size_name, series.variant) == ("shape", "bf16")
    plot, = benchmark_plots.plots_of(series)
    assert plot["x"] == {"name": "shape", "labels": ["64 × 4,096", "8 × 32,768"], "log": False, "values": [0, 1]}


def test_without_a_file_it_says_how_to_get_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmarks, "HERE", tmp_path)
    assert benchmarks.main([]) == 1
    assert "make bench" in capsys.readouterr().err
    assert benchmarks.main([str(tmp_path / "absent.json")]) == 1
    assert "absent.json" in capsys.readouterr().err


@pytest.mark.parametrize("content, said", [
    ("", "is empty: the benchmarks did not come to their end"), ("{", "is not JSON"), ("[]", "no `benchmarks`"), ('{"benchmarks": []}', "machine_info"),
    ('{"benchmarks": {}, "machine_info": {}}', "no `benchmarks`")])
def test_another_file_is_refused_by_name(tmp_path, capsys, content, said):
    path = tmp_path / "bench.json"
    path.write_text(content)
    with pytest.raises(benchmark_runs.NotABenchmarkFile, match=said):
        benchmark_runs.read_session(path)
    assert benchmarks.main([str(path), "-o", str(tmp_path / "page.html")]) == 1
    assert "NotABenchmarkFile: bench.json" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
