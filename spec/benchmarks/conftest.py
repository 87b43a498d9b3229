"""Prints the benchmarks' own table at the end: two engines side by side, which pytest-benchmark's has no column for.

Also what both benchmarks of engines on a GPU begin with.
"""
import os
import platform
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from types import SimpleNamespace

import cpuinfo
import pytest

from kernels import has_gpu
from reference.vllm_scheduler import installed_version

TITLES = {"scheduler benchmark": "schedule + update_from_output", "engine benchmark": "LLM.generate on the CPU",
          "kernel benchmark": "kernels on the GPU", "gpu engine benchmark": "engines on the GPU",
          "two gpus benchmark": "engines on two GPUs"}


def pytest_addoption(parser):
    parser.addoption("--rehearse", action="store_true", help="the engines' contest on a GPU, small and on the CPU: to see that all of it runs")


@pytest.fixture(scope="session")
def say(request):
    """Writes a line now, whatever is captured: somebody waits."""
    plugins = request.config.pluginmanager

    def said(line: str) -> None:
        with plugins.getplugin("capturemanager").global_and_fixture_disabled():
            plugins.getplugin("terminalreporter").write_line(line)
            plugins.getplugin("terminalreporter").flush()

    return said


@pytest.fixture(scope="session")
def scale(request):
    """How much the engines' contest does here."""
    from spec.benchmarks.engine_scale import REHEARSAL, STANDARD
    if request.config.getoption("--rehearse", False):
        return REHEARSAL
    if not has_gpu():
        pytest.skip("needs an NVIDIA GPU: run this on a machine that has one, or see that it runs, small and on the CPU, with --rehearse")
    return STANDARD


@pytest.fixture(scope="session")
def gpu_facts(scale):
    """Where and when it ran, and the ceilings; measured before an engine takes the memory."""
    import torch

    from spec.benchmarks.gpu_time import GpuClock, Rehearsal, provenance
    from spec.benchmarks.kernel_race import command
    rehearsed = scale.shape is None
    clock = Rehearsal() if rehearsed else GpuClock()
    facts = {**provenance(), "command": command(), "arguments": scale.arguments, "ceilings": {
        "copy TB/s": clock.ceilings.bytes_per_second / 1e12, "product TFLOP/s": clock.ceilings.flops_per_second / 1e12}}
    if not rehearsed:
        facts["gpu"] = clock.name
        del clock
        torch.cuda.empty_cache()
    return facts


@pytest.fixture(scope="session")
def model(scale, tmp_path_factory, say):
    """Its folder, and how many weights it has."""
    from reference.checkpoint.random_model import QWEN3, count_weights, write_random_model
    if scale.shape is None:
        return SimpleNamespace(folder=str(QWEN3), num_weights=count_weights(QWEN3))
    folder = tmp_path_factory.mktemp("random_model")
    num_weights = write_random_model(folder, scale.shape)
    say(f"\n{num_weights:,} random weights are in {folder}")
    return SimpleNamespace(folder=str(folder), num_weights=num_weights)


@pytest.fixture
def tell(request, benchmark, record_property, gpu_facts, say):
    """Keeps a row, for the file and for the terminal."""
    say(f"\n{request.node.name}")

    def told(row) -> None:
        benchmark.extra_info |= gpu_facts | row.figures()
        record_property("gpu engine benchmark", row.shown())
        record_property("gpu engine benchmark facts", {"gpu": "rehearsed without a GPU"} | gpu_facts)

    return told


def pytest_benchmark_update_machine_info(machine_info):
    machine_info |= {"vllm": installed_version(), **{name: version(name) for name in ("torch", "triton") if find_spec(name)}}
    if gpu := _gpu():
        machine_info["gpu"] = gpu


def _gpu() -> str | None:
    """The first one's name, by its driver's own tool."""
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                              timeout=20, check=True).stdout.strip().split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for kind, title in TITLES.items():
        rows = [value for report in reports for name, value in report.user_properties if name == kind]
        if rows:
            terminalreporter.section(f"{title}, ours against vLLM {installed_version()}")
            facts = [value for report in reports for name, value in report.user_properties if name == f"{kind} facts"]
            terminalreporter.write_line(_gpu_in_words(facts[0]) if facts else _cpu_in_words())
            columns = list(dict.fromkeys(name for row in rows for name in row))
            for row in [{name: name for name in columns}, *rows]:
                terminalreporter.write_line("  ".join(f"{row.get(name, ''):>{max(len(each.get(name, '')) for each in [*rows, {name: name}])}}"
                                                      for name in columns))


def _cpu_in_words() -> str:
    return (f"{cpuinfo.get_cpu_info().get('brand_raw', 'unknown CPU')}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}; medians, in brackets the interquartile range")


def _gpu_in_words(facts: dict) -> str:
    return (f"{facts['gpu']}, driver {facts['driver']}, torch {facts['torch']}, triton {facts['triton']}, vLLM {facts['vllm']}, commit {facts['commit']}\n"
            f"ceilings: copy {facts['ceilings']['copy TB/s']:.2f} TB/s, product {facts['ceilings']['product TFLOP/s']:,.0f} TFLOP/s; medians; {facts['command']}")
