"""The texts of the gym: every command in them can be typed, every file and drill they name is there."""
import ast
import re
import shlex
from collections import Counter

import pytest

from drills.drill import DRILLS, TRACKS, Drill
from spec.bench.mine import PIECES
from spec.museum.engine_mutants import ENGINE_MUTANTS
from spec.museum.mutants import MUTANTS

ROOT = DRILLS.parent
TEXTS = [DRILLS / name for name in ("README.md", "QUICKSTART.md", "ROADMAP.md")]
NAMES = {name: Drill(track, name) for track, names in TRACKS.items() for name in names}
MODULES = {"drills": "drills/__main__.py", "spec.museum": "spec/museum/__main__.py"}
OPTIONS = {"--reference": ["live", "recorded"], "--impl": ["impl.naive"], "--predict": [""], "--mine": None, "--answer": None, "-k": None}


def commands(path):
    """The lines of all fenced blocks, without their comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


each_command = pytest.mark.parametrize("command", sorted({command for path in TEXTS for command in commands(path)}))


@each_command
def test_a_command_can_be_typed(command):
    words = shlex.split(command)
    if words[0] == "make":
        check_make(words[1:])
    elif words[0] == "pytest":
        check_pytest(words[1:])
    elif words[:2] == ["python", "-m"]:
        check_module(words[2], words[3:])
    elif words[0] == "cp":
        assert (ROOT / words[1]).exists() and (ROOT / words[2]).with_suffix("").name in NAMES
    else:
        assert command == ". .venv/bin/activate", f"what is {command!r}?"


def check_make(words):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[0] in targets, f"the Makefile has no {words[0]}"
    for word in words[1:]:
        name, _, value = word.partition("=")
        assert name == "CLAIM" and claims_in(value), f"no claim is called {value}"


def check_pytest(words):
    paths, wanted = [], None
    words = iter(words)
    for word in words:
        option, _, value = word.partition("=")
        if not word.startswith("-"):
            paths.append(word)
            continue
        assert option in OPTIONS, f"unknown to this test: {option}"
        if option == "-k":
            wanted = next(words)
        elif option == "--mine":
            name, _, which = value.partition(":")
            assert name in PIECES and (not which or (NAMES[name].folder / f"{which}.py").exists()), f"there is no answer {value}"
        elif option == "--answer":
            assert value == "all" or value == "mine.cu" and all((ROOT / path / "stub.cu").exists() for path in paths) or all((ROOT / path / f"{value}.py").exists() for path in paths), f"there is no answer {value}"
        else:
            assert value in OPTIONS[option], f"{option} knows no {value}"
    tests = [test for path in paths for test in claims_in(path)]
    assert paths and tests, f"there are no tests in {paths}"
    assert wanted is None or any(wanted in test for test in tests), f"-k {wanted} chooses no test of {paths}"


def check_module(module, words):
    assert (ROOT / MODULES[module]).exists()
    if module == "spec.museum":
        assert words[0] == "--mutant" and words[1] in [mutant.name for mutant in MUTANTS] + [exhibit.mutant.name for exhibit in ENGINE_MUTANTS]
    else:
        known = re.findall(r'\("(\w+)", "', (ROOT / MODULES[module]).read_text())
        assert words[0] in known, f"python -m drills has no {words[0]}"
        assert all(word in NAMES for word in words[1:]), f"there is no drill {words[1:]}"


def claims_in(place):
    """The tests of a folder, a file, or one that is named: by file and name."""
    path, _, name = place.partition("::")
    files = sorted((ROOT / path).rglob("test_*.py")) if (ROOT / path).is_dir() else [ROOT / path]
    found = [f"{file.relative_to(ROOT)}::{node.name}" for file in files if file.exists()
             for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [test for test in found if not name or test.endswith(f"::{name}")]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path):
    dead = [target for target in re.findall(r"\]\(([^)]+)\)", path.read_text()) if not (path.parent / target).exists()]
    assert not dead, f"{path.name} links to {dead}"


def test_the_way_passes_every_drill_once():
    text = (DRILLS / "ROADMAP.md").read_text()
    listed = Counter(name for drills in re.findall(r"^Drills: ((?:`\w+`,?\s)+)", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", drills))
    assert not listed.keys() - NAMES.keys(), f"no drills: {listed.keys() - NAMES.keys()}"
    assert not NAMES.keys() - listed.keys(), f"not on the way: {sorted(NAMES.keys() - listed.keys())}"
    assert max(listed.values()) == 1, listed.most_common(3)


def test_every_step_of_the_way_has_something_to_type():
    text = (DRILLS / "ROADMAP.md").read_text()
    assert re.findall(r"^## (Stage .*)", text, re.MULTILINE) == ["Stage 1: strength", "Stage 2: building", "Stage 3: dissecting", "Stage 4: seeing"]
    steps = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert len(steps) > 15 and all("```" in step for step in steps)


def test_every_day_of_the_week_ends_with_the_real_vllm():
    days = re.split(r"^## Day (\d)", (DRILLS / "QUICKSTART.md").read_text(), flags=re.MULTILINE)
    assert days[1::2] == list("1234567")
    for number, day in zip(days[1::2], days[2::2]):
        assert re.search(r"^pytest .*--reference=live$", day, re.MULTILINE), f"day {number} asks nothing of the real vLLM"
        assert "python -m drills" in day, f"day {number} has no drill"


def test_the_gym_says_how_all_its_files_are_called():
    named = set(re.findall(r"`(\w+\.py)`", (DRILLS / "README.md").read_text()))
    missing = {path.name for path in DRILLS.glob("*.py")} - named - {"__init__.py"}
    assert not missing, f"drills/README.md does not say what {missing} are for"
