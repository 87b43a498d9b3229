"""The workflows are sound, and their jobs only call make targets.

Two linters and a few lines of our own share the work. check-jsonschema knows GitHub's schema (unknown keys,
missing runs-on, bad events); zizmor knows what is dangerous (injection, unpinned actions, leaked credentials);
neither notices a job that needs one which does not exist.
"""
import graphlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.M))

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def tool(name):
    """The linter beside this Python; a missing one is a failure, because a skip would look like a pass."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if not found:
        pytest.fail(f"{name} is not installed beside {sys.executable}: pip install --no-deps -r requirements-base.lock", pytrace=False)
    return found


def lint(path):
    """What the two linters say about a workflow; nothing when it is sound."""
    complaints = ""
    for command in (
        [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"],
        [tool("zizmor"), "--offline", "--no-progress", "--quiet"],
    ):
        done = subprocess.run([*command, str(path)], capture_output=True, text=True)
        if done.returncode:
            complaints += done.stdout + done.stderr
    return complaints


def parsed(text):
    from ruamel.yaml import YAML  # comes with check-jsonschema; YAML 1.2, where `on` is not a truth value

    return YAML(typ="safe").load(text)


def jobs_of(text):
    return parsed(text)["jobs"]


def unsafe_events(text):
    """What may start a workflow that runs on a machine which stays, and would let somebody without write access say what is run there."""
    workflow = parsed(text)
    stays = any("self-hosted" in job["runs-on"] for job in workflow["jobs"].values())
    return set(workflow["on"]) - {"push", "schedule", "workflow_dispatch"} if stays else set()


def wrong_needs(jobs):
    """Each job that waits for one which does not exist, and each circle of waiting."""
    needs = {name: [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", []) for name, job in jobs.items()}
    wrong = [f"job '{name}' needs '{other}', which does not exist" for name, others in needs.items() for other in others if other not in jobs]
    try:
        list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as circle:
        wrong.append(f"jobs wait for each other: {' -> '.join(circle.args[1])}")
    return wrong


def test_there_is_a_workflow():
    assert WORKFLOWS, ".github/workflows holds no workflow: restore ci.yml"


@each_workflow
def test_the_linters_find_nothing(path):
    complaints = lint(path)
    assert not complaints, f"{path.name} is not sound; mend what the linter names:\n{complaints}"


@each_workflow
def test_jobs_wait_for_jobs_that_exist(path):
    wrong = wrong_needs(jobs_of(path.read_text()))
    assert not wrong, f"{path.name}: mend `needs`: {wrong}"


@each_workflow
def test_every_step_that_runs_something_runs_make(path):
    """What fails in CI can then be repeated at home with the same words."""
    for name, job in jobs_of(path.read_text()).items():
        lines = [line.strip() for step in job["steps"] if "run" in step for line in step["run"].splitlines() if line.strip()]
        for line in lines:
            assert re.fullmatch(r"make( [a-z-]+)+", line), f"{path.name}, job '{name}': move `{line}` into a make target and call that"
            unknown = set(line.split()[1:]) - TARGETS
            assert not unknown, f"{path.name}, job '{name}': the Makefile has no target {sorted(unknown)}"


@each_workflow
def test_no_stranger_reaches_a_machine_that_stays(path):
    """zizmor says so only when it is asked to complain about every such machine."""
    unsafe = unsafe_events(path.read_text())
    assert not unsafe, f"{path.name}: {sorted(unsafe)} would run a stranger's code on a self-hosted runner; leave it to push, schedule and workflow_dispatch"


def test_an_unsafe_event_is_noticed():
    text = (ROOT / ".github/workflows/gpu.yml").read_text()
    assert unsafe_events(text.replace("  schedule:", "  pull_request:\n  schedule:")) == {"pull_request"}
    assert not unsafe_events((ROOT / ".github/workflows/ci.yml").read_text()), "it runs on GitHub's machines, which are thrown away"


@pytest.mark.parametrize("whole, broken", [
    ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),                          # a missing key and an unknown one
    ("pull_request:", "pull_requests:"),                                        # an event that does not exist
    ("contents: read", "contents: reed"),                                       # a permission that does not exist
    ("run: make test", "run: echo ${{ github.event.pull_request.title }}"),     # a stranger's text run as a command
    ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@main"),                     # whatever its owner makes of it tomorrow
])
def test_the_linters_bite(tmp_path, whole, broken):
    """A linter that is content with everything proves nothing."""
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert whole in text, f"ci.yml no longer says `{whole}`: choose another line to break"
    (tmp_path / "broken.yml").write_text(text.replace(whole, broken))
    assert lint(tmp_path / "broken.yml"), f"neither linter noticed `{broken}`: choose another linter"


def test_wrong_needs_are_noticed():
    assert wrong_needs({"a": {"needs": "b"}}) == ["job 'a' needs 'b', which does not exist"]
    assert wrong_needs({"a": {"needs": ["b"]}, "b": {"needs": "a"}})
    assert not wrong_needs({"a": {"needs": ["b"]}, "b": {}})
