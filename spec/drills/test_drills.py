"""Every drill is whole: its problem, its hints, its judge, its stub, and the wrong answers that the judge must reject."""
import ast
import functools
import re
from collections import Counter

import pytest

from drills import stubs
from drills.conftest import declared
from drills.drill import DRILLS, TRACKS, all_drills
from reference.source import locate, vllm_folder

NAMES = [name for names in TRACKS.values() for name in names]
FOLDERS = sorted(path for track in TRACKS for path in (DRILLS / track).glob("*/") if path.is_dir() and not path.name.startswith(("__", ".")))
each_drill = pytest.mark.parametrize("drill", all_drills(), ids=lambda drill: drill.name)


def test_the_course_has_66_drills_of_as_many_names():
    assert len(NAMES) == 66 and [name for name, number in Counter(NAMES).items() if number > 1] == []


def test_no_folder_is_a_stranger():
    strangers = [f"{path.parent.name}/{path.name}" for path in FOLDERS if path.name not in TRACKS[path.parent.name]]
    assert not strangers, f"not in TRACKS of drills/drill.py: {strangers}"
    folders = {path.name for path in DRILLS.glob("*/") if path.is_dir() and not path.name.startswith(("__", "."))}
    assert folders <= {*TRACKS, "mine"}, f"a track is named in TRACKS of drills/drill.py: {folders - {*TRACKS, 'mine'}}"


@each_drill
def test_a_drill_has_all_its_files(drill):
    missing = [path.name for path in (drill.problem, drill.hints, drill.solution, drill.stub, drill.judge) if not path.exists()]
    assert not missing, f"{drill.name} lacks {missing}"
    strangers = {path.name for path in drill.folder.iterdir() if not re.fullmatch(
        rf"README\.md|HINTS\.md|(solution|stub|badge|wrong_\w+|test_{drill.name})\.py|(solution|stub)\.cu|__pycache__", path.name)}
    assert not strangers, f"{drill.name} has {strangers}"


@each_drill
def test_a_problem_has_a_title_and_says_what_it_is_in_vllm(drill):
    lines = drill.problem.read_text().splitlines()
    assert re.fullmatch(r"# \S.*", lines[0]), f"the first line is the title, '# ...': {lines[0]!r}"
    assert "!" not in re.sub(r"`[^`]*`|```.*?```|!=", "", drill.problem.read_text(), flags=re.DOTALL), "no exclamation marks"
    *_, last = re.split(r"\n\s*\n", drill.problem.read_text().strip())
    assert last.startswith("**In vLLM**"), f"the last paragraph begins with **In vLLM**: {last!r}"
    assert re.search(r"`[\w/]+\.py::[\w.]+`", last), f"it names a `file.py::function`: {last!r}"


@pytest.mark.skipif(vllm_folder() is None, reason="vLLM's source is not here; 'make spec' installs it")
@each_drill
def test_what_a_problem_names_is_in_vllm(drill):
    lost = [name for name in drill.mirrors if not locate(name, vllm_folder())]
    assert not lost, f"not in the installed vLLM: {lost}"


@each_drill
def test_there_are_three_hints(drill):
    hints = [drill.hint(number) for number in (1, 2, 3, 4)]
    assert drill.hints.read_text().startswith("# Hints\n") and all(hints[:3]) and hints[3] is None, f"{drill.name}: three sections, ## 1 to ## 3"


@each_drill
def test_the_stub_is_what_the_solution_makes_it(drill):
    assert drill.stub.read_text() == stubs.stub_of(drill), "python -m drills stubs makes it anew"
    assert "is not written yet" in drill.stub.read_text(), "there is nothing left to do in it"
    secret = [node.name for node in ast.parse(drill.stub.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith("_")]
    assert not secret or all(f"{name}" in drill.solution.read_text() and "# given" in drill.solution.read_text() for name in secret)


@each_drill
def test_a_stub_in_cuda_c_asks_for_what_its_solution_has(drill):
    stub, solution = drill.folder / "stub.cu", drill.folder / "solution.cu"
    assert stub.exists() == solution.exists(), f"{drill.name} has one of stub.cu and solution.cu: it needs both or neither"
    if stub.exists():
        asked, answered = ([head for head in re.findall(r"^.*\bvoid \w+\([^)]*\)", path.read_text(), re.MULTILINE)] for path in (stub, solution))
        assert asked and asked == answered, f"stub.cu asks for {asked}, solution.cu has {answered}"
        assert f"{drill.name} is not written yet" in stub.read_text(), "there is nothing left to do in it"
        assert "--answer=mine.cu" in drill.problem.read_text(), "the problem says how it is judged"


@functools.cache
def names_of_tests(judge):
    return {node.name for node in ast.parse(judge.read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@each_drill
def test_there_are_wrong_answers_which_say_how_they_fail(drill):
    assert len(drill.wrong) >= 2, f"{drill.name} has {len(drill.wrong)} wrong answers: the mistakes that people make"
    for path in drill.wrong:
        fails = declared(path)
        assert fails and fails.keys() <= names_of_tests(drill.judge), f"{path.name}: FAILS names tests of {drill.judge.name}: {sorted(fails)}"
        for words in fails.values():
            re.compile(words)
        sentence = ast.get_docstring(ast.parse(path.read_text()))
        assert sentence, f"{path.name}: its first line says what the mistake is"


@each_drill
def test_every_test_of_a_judge_asks_the_answer(drill):
    tree = ast.parse(drill.judge.read_text())
    assert ast.get_docstring(tree), f"{drill.judge.name} begins by saying whose judge it is"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert "answer" in [argument.arg for argument in node.args.args], f"{node.name} does not ask the answer"
            assert not any("parametrize" in ast.unparse(each) for each in node.decorator_list), f"{node.name}: loop inside, the smallest case first"


@each_drill
def test_a_drill_uses_no_clock_but_for_its_badge(drill):
    """The measurements of a badge are asked for by the learner; a judge counts."""
    text = drill.judge.read_text()
    assert not re.search(r"perf_counter|monotonic|time\.time|drills\.machine", text), f"{drill.judge.name} looks at the clock: let it count"
    if (badge := drill.folder / "badge.py").exists():
        assert "def badge(answer)" in badge.read_text()


def test_no_drill_is_missing():
    """The last test of this file: all the others hold of the drills that are there."""
    there = {drill.name for drill in all_drills()}
    missing = {track: [name for name in names if name not in there] for track, names in TRACKS.items()}
    assert not any(missing.values()), "missing: " + "; ".join(f"{track}: {', '.join(names)}" for track, names in missing.items() if names)
