"""What a wrong answer has to be, as `drills/conftest.py` judges it: it fails as it says, and only there."""
import pytest

from drills.drill import DRILLS

pytest_plugins = ["pytester"]

JUDGE = '''
def test_sign(answer):
    assert answer.double(-1) < 0, "the sign is lost"

def test_value(answer):
    assert answer.double(3) == 6, "three and three are six"
'''


@pytest.fixture
def judged(pytester):
    """Judge one wrong answer of a drill of its own; returns its outcomes."""
    def run(wrong, *options):
        folder = pytester.path / "classics/double"
        folder.mkdir(parents=True)
        (folder / "test_double.py").write_text(JUDGE)
        (folder / "solution.py").write_text("def double(x):\n    return x + x\n")
        (folder / "stub.py").write_text('def double(x):\n    raise NotImplementedError("double: double is not written yet")\n')
        (folder / "wrong_it.py").write_text(wrong)
        (pytester.path / "conftest.py").write_text((DRILLS / "conftest.py").read_text().replace("return Drill(", "return DrillHere(") + f'''
class DrillHere(Drill):
    folder = property(lambda drill: Path({str(folder)!r}))
''')
        pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\npythonpath = [{str(DRILLS.parent)!r}]\n")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:randomly", *options or ["--answer=all"])
    return run


LOSES_THE_SIGN = 'FAILS = {"test_sign": "the sign is lost"}\ndef double(x):\n    return abs(x + x)\n'


def test_a_wrong_answer_that_fails_as_it_says(judged):
    judged(LOSES_THE_SIGN).assert_outcomes(passed=6)


def test_a_wrong_answer_that_passes_where_it_must_fail(judged):
    result = judged('FAILS = {"test_sign": "the sign is lost", "test_value": "six"}\ndef double(x):\n    return abs(x + x)\n')
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*wrong_it passes test_value, which must reject it: /six/*"])


def test_a_wrong_answer_that_fails_for_another_reason(judged):
    result = judged(LOSES_THE_SIGN.replace("is lost", "has gone"))
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*wrong_it fails test_sign for another reason than /the sign has gone/:*"])


def test_a_wrong_answer_that_fails_where_it_should_pass(judged):
    judged('FAILS = {"test_sign": "the sign is lost"}\ndef double(x):\n    return 7\n').assert_outcomes(passed=5, failed=1)


def test_a_wrong_answer_that_does_not_say_how_it_fails(judged):
    result = judged("def double(x):\n    return abs(x + x)\n")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*a wrong answer says in FAILS*"])


def test_a_stub_that_is_written_after_all(judged, pytester):
    result = judged(LOSES_THE_SIGN, "--answer=stub")
    result.assert_outcomes(failed=2)    # shown as it is, when it is asked for alone
    (pytester.path / "classics/double/stub.py").write_text("def double(x):\n    return x + x\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--answer=all")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["*stub passes test_sign, which must reject it*"])


def test_one_answer_alone_is_shown_as_it_is(judged):
    judged(LOSES_THE_SIGN, "--answer=wrong_it").assert_outcomes(passed=1, failed=1)


def test_an_answer_that_is_not_there_is_skipped_with_a_reason(judged, monkeypatch, tmp_path):
    monkeypatch.setenv("INFERLAB_MINE", str(tmp_path / "nothing"))
    result = judged(LOSES_THE_SIGN, "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*no answer yet: python -m drills start double*"])
