"""A small suite in a folder of its own, run by a pytest of its own: what the plugin does is seen from outside."""
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Puts the verdict a test names onto its report, as the bench does.
CONFTEST = '''
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and hasattr(item.function, "verdict"):
        failed = item.function.verdict not in ("CONFIRMED", "UNTESTED")
        report.claim = {
            "sentence": item.name, "theme": "scheduler/" + item.function.verdict.lower(), "about": ["preemption"],
            "verdict": item.function.verdict, "misconception": False, "known_divergence": None, "workload": "workload(9)",
            "source": {"of": "core.py::schedule", "path": "vllm/core.py", "line": 7, "text": "def schedule(): ..."},
            "runs": [{"ours": None, "theirs": {"engine": "vllm", "ended": "finished", "error": None, "limits": {}, "requests": [], "steps": []}}],
            "finding": {"headline": "a | b < c", "remedy": "make record", "rows": [
                {"step": 7, "differs": True, "ours": ["a"], "theirs": ["b"]}]} if item.function.verdict != "CONFIRMED" else None}
    return report

def pytest_configure(config):
    config.lab_header = {"impl": "impl", "reference": {"mode": "live", "version": "0.32.0", "date": "2026-11-22"}}
'''

SUITE = '''
import pytest

def claim(verdict):
    def mark(test):
        test.verdict = verdict
        return test
    return mark

@claim("CONFIRMED")
def test_one(): pass

@claim("CONFIRMED")
def test_two(): pass

@claim("DIVERGED")
def test_three(): assert False, "it diverged"

@claim("UNTESTED")
def test_four(): pytest.skip("no reference")

def test_ordinary(): pass

def test_broken(): assert 1 == 2

@pytest.mark.skip(reason="not today")
def test_skipped(): pass

@pytest.mark.xfail(reason="a known bug")
def test_expected(): assert False

@pytest.fixture
def leaky():
    yield
    raise RuntimeError("it leaks")

def test_leaky(leaky): pass

@pytest.fixture
def absent(): raise RuntimeError("nothing there")

def test_absent(absent): pass
'''


def pytest_in(folder: Path, *args: str, suite: str = SUITE, cwd: Path | None = None, **env: str) -> subprocess.Popen:
    """Start pytest on the suite, with our plugin and at most xdist beside it."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_inner.py").write_text(suite)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTEST_", "GITHUB_", "COV_", "COVERAGE_"))}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | env
    xdist = ["-p", "xdist"] if "-n" in args else []     # it takes a while to load
    command = [sys.executable, "-m", "pytest", "-p", "reports.plugin", "-p", "no:cacheprovider", *xdist, *args]
    return subprocess.Popen(command, cwd=cwd or folder, env=environment, text=True, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output_of(process: subprocess.Popen) -> str:
    return process.communicate(timeout=180)[0]


def kill(process: subprocess.Popen) -> None:
    """Kill it where it stands, with whatever it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=180)


def run_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("reports/runs/*.jsonl"))
