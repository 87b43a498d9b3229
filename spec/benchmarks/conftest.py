"""Prints the benchmarks' own table at the end: two engines side by side, which pytest-benchmark's has no column for."""
import os
import platform
import subprocess
from importlib.metadata import version
from importlib.util import find_spec

import cpuinfo

from reference.vllm_scheduler import installed_version


TITLES = {"scheduler benchmark": "schedule + update_from_output", "engine benchmark": "LLM.generate on the CPU",
          "kernel benchmark": "kernels on the GPU"}


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
            facts = [value for report in reports for name, value in report.user_properties if name == "kernel facts"]
            terminalreporter.write_line(_gpu_in_words(facts[0]) if kind == "kernel benchmark" else _cpu_in_words())
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
