"""Prints the benchmarks' own table at the end: two engines side by side, which pytest-benchmark's has no column for."""
import platform

import cpuinfo

from reference.vllm_scheduler import installed_version


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = [value for report in reports for name, value in report.user_properties if name == "scheduler benchmark"]
    if rows:
        terminalreporter.section(f"schedule + update_from_output, ours against vLLM {installed_version()}")
        terminalreporter.write_line(f"{cpuinfo.get_cpu_info().get('brand_raw', 'unknown CPU')}, Python {platform.python_version()}; "
                                    "medians, in brackets the interquartile range")
        for row in [{name: name for name in rows[0]}, *rows]:
            terminalreporter.write_line("  ".join(f"{cell:>{max(len(each[name]) for each in [*rows, {name: name}])}}"
                                                  for name, cell in row.items()))
