"""Prints the benchmarks' own table at the end: two engines side by side, which pytest-benchmark's has no column for."""
import os
import platform
from importlib.metadata import version
from importlib.util import find_spec

import cpuinfo

from reference.vllm_scheduler import installed_version


TITLES = {"scheduler benchmark": "schedule + update_from_output", "engine benchmark": "LLM.generate on the CPU"}


def pytest_benchmark_update_machine_info(machine_info):
    machine_info |= {"vllm": installed_version(), **{name: version(name) for name in ("torch", "triton") if find_spec(name)}}


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for kind, title in TITLES.items():
        rows = [value for report in reports for name, value in report.user_properties if name == kind]
        if rows:
            terminalreporter.section(f"{title}, ours against vLLM {installed_version()}")
            terminalreporter.write_line(f"{cpuinfo.get_cpu_info().get('brand_raw', 'unknown CPU')}, {os.cpu_count()} cores, "
                                        f"Python {platform.python_version()}; medians, in brackets the interquartile range")
            columns = list(dict.fromkeys(name for row in rows for name in row))
            for row in [{name: name for name in columns}, *rows]:
                terminalreporter.write_line("  ".join(f"{row.get(name, ''):>{max(len(each.get(name, '')) for each in [*rows, {name: name}])}}"
                                                      for name in columns))
