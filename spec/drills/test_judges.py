"""What judges stand on: the generator of stubs, answers in a process of their own, the oracles' tools, and what a wrong answer has to be."""
import math
import random
import re
from pathlib import Path

import pytest

from drills import stubs
from drills.answers import AnswerCrashed, Guards, Isolated, load
from drills.drill import DRILLS
from drills.judging import Counted, assert_close, count_lines, grows, p_value, play

pytest_plugins = ["pytester"]


# Stubs

SOLUTION = '''"""How it is done: not for the stub."""
import functools
import math
import os.path
from collections import deque
from collections.abc import Iterable

LIMIT = 4
_SECRET = 5


class Node:  # given
    """Given as it is."""

    def __init__(self, value: int):
        self.value = math.floor(value)

    def _inner(self):
        return 1


class _Helper:
    pass


@functools.cache
def decorated(
    one: Iterable[int],
    two: str = ")",
) -> dict[str, int]:
    """Over several lines.

    Also here.
    """
    return deque(one)


class Queue:
    """A queue."""

    kind: str = "fifo"

    def __init__(self):
        self.all = deque()

    @property
    def size(self) -> int:
        """How many."""
        return len(self.all)

    @staticmethod
    def of(*values): return Queue()

    def _private(self):
        os.path.join("a")

    def bare(self, index):
        return self.all[index]


class Empty(ValueError):
    """Nothing there."""


def _helper():
    return _SECRET


@triton.jit
def kernel(x, BLOCK: tl.constexpr):
    """A kernel."""
    tl.store(x, 1)


@triton.jit
def bare_kernel(x):
    tl.store(x, 1)
'''


@pytest.fixture
def stub(tmp_path):
    """The stub of a solution."""
    class Drill:
        name, track, title, solution = "try", "classics", "Try", tmp_path / "solution.py"

    def made(source):
        Drill.solution.write_text(source)
        return stubs.stub_of(Drill)
    return made


def test_a_stub_has_what_is_public_and_nothing_of_how_it_is_done(stub):
    text = stub(SOLUTION)
    compile(text, "stub", "exec")
    assert [word for word in ("_SECRET", "_Helper", "_helper", "_private", "deque", "os.path", "How it is done") if word in text] == []
    for kept in ("LIMIT = 4", "@functools.cache\ndef decorated(\n    one: Iterable[int],\n    two: str = \")\",\n) -> dict[str, int]:", "    Also here.", "@property",
                 'class Queue:\n    """A queue."""', '    kind: str = "fifo"', "@staticmethod", "class Empty(ValueError)", "import functools\nimport math\n",
                 "from collections.abc import Iterable"):
        assert kept in text, f"{kept!r} is missing in\n{text}"
    assert text.startswith('"""Try: your answer. The problem is in drills/classics/try/README.md."""\n')


def test_what_is_given_stays_as_it_is(stub):
    text = stub(SOLUTION)
    assert "self.value = math.floor(value)" in text and "def _inner(self):\n        return 1" in text and "# given" not in text


def test_every_function_says_that_it_is_not_written_and_kernels_still_compile(stub):
    text = stub(SOLUTION)
    for name in ("decorated", "Queue.__init__", "Queue.size", "Queue.of", "Queue.bare"):
        assert f'raise NotImplementedError("try: {name} is not written yet")' in text
    assert 'def kernel(x, BLOCK: tl.constexpr):\n    """A kernel."""\n' in text and "def bare_kernel(x):\n    pass" in text and "tl.store" not in text
    scope = {}
    exec(text.partition("@triton")[0], scope)
    for call in (lambda: scope["decorated"](()), scope["Queue"], lambda: scope["Queue"].of(1), lambda: scope["Queue"].size.fget(None)):
        with pytest.raises(NotImplementedError, match="^try: .* is not written yet$"):
            call()


@pytest.mark.parametrize("line", ["def f(x: int, y: dict[str, int]) -> int: return x", "def f(x=(1, 2)): return x", "def f(): return {1: 2}",
                                  "def f(\n    x: int,\n) -> int: return x"])
def test_a_definition_in_one_line(stub, line):
    text = stub(line + "\n")
    scope = {}
    exec(text, scope)
    with pytest.raises(NotImplementedError, match="try: f is"):
        scope["f"](*[1] * scope["f"].__code__.co_argcount)


# Answers

def isolated(folder, text):
    pytest.importorskip("torch", reason="needs torch: make setup")
    path = folder / "answer.py"
    path.write_text("import os, sys, time, torch\n" + text)
    return Isolated(path)


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """An answer in a process of its own, which does many things."""
    return isolated(tmp_path_factory.mktemp("answer"), '''
def in_place(x, scale, more=()):
    x *= scale
    for each in more:
        each += 1

def process():
    return os.getpid()

def raises(kind, *text):
    raise {"ValueError": ValueError, "IndexError": IndexError, "NotImplementedError": NotImplementedError, "Own": type("OwnError", (Exception,), {})}[kind](*text)

def exits():
    os._exit(9)

def sleeps():
    time.sleep(60)

def several(x):
    return x + 1, [x - 1], {"n": 3}

def beyond(x, where):
    torch.as_strided(x, (1,), (1,), x.storage_offset() + where).fill_(7)

def unwritten(*shape, dtype=torch.float32):
    return torch.empty(*shape, dtype=dtype)

def unwritten_like(x):
    return torch.empty_like(x)

def zeros(x):
    return torch.zeros(2, 3), torch.zeros_like(x)
''')


def test_what_an_answer_changes_in_place_comes_back(far):
    import torch
    one, two, three = torch.ones(3), torch.tensor([1, 2]), torch.zeros(2, dtype=torch.int64)
    far.in_place(one, 2.5, more=())
    far.in_place(two, 3)
    assert one.tolist() == [2.5] * 3 and two.tolist() == [3, 6]
    view = torch.zeros(3, 4)
    far.in_place(view[:, 1].add_(1), 5)
    assert view[:, 1].tolist() == [5] * 3 and view.sum() == 15, "a view with gaps"
    far.in_place(one, 1, more=[three])
    assert three.tolist() == [1, 1], "a tensor in a list"


def test_what_an_answer_returns_comes_back(far):
    import os

    import torch
    first, [second], third = far.several(torch.tensor([1.0, float("nan")]))
    assert first[0] == 2 and second[0] == 0 and math.isnan(first[1]) and third == {"n": 3}
    assert far.process() == far.process() != os.getpid(), "one process, and another one"


def test_an_exception_comes_back_with_its_type_and_words(far):
    for kind, error in (("ValueError", ValueError), ("IndexError", IndexError), ("NotImplementedError", NotImplementedError)):
        with pytest.raises(error, match="^these words") as caught:
            far.raises(kind, "these words")
        place = "" if error is NotImplementedError else " (answer.py, line "     # what is not written yet is told as it is
        assert str(caught.value).startswith(f"these words{place}") and "in answer.py, which runs in a process of its own" in caught.value.__notes__
    with pytest.raises(RuntimeError, match="OwnError: these words"):
        far.raises("Own", "these words")
    with pytest.raises(AttributeError, match="no_such_function"):
        far.no_such_function()


def test_a_crash_is_told_and_the_next_call_starts_anew(far):
    before = far.process()
    with pytest.raises(AnswerCrashed, match=r"exits killed its process \(exit code 9\)"):
        far.exits()
    assert far.process() != before


def test_a_hang_is_told_and_the_next_call_starts_anew(far, monkeypatch):
    monkeypatch.setattr("drills.answers.SECONDS", 0.5)
    with pytest.raises(AnswerCrashed, match="sleeps has not returned after 0.5 s"):
        far.sleeps()
    monkeypatch.undo()
    assert far.process()


def test_an_answer_that_cannot_be_imported_says_so_at_its_first_call(tmp_path):
    with pytest.raises(RuntimeError, match="SyntaxError"):
        isolated(tmp_path, "def f(:").f()


@pytest.mark.parametrize("where, words", [(10, "beyond the end"), (13, "beyond the end"), (-1, "before the beginning"), (-100, "before the beginning")])
def test_a_store_beside_a_tensor_is_noticed(far, where, words):
    import torch
    with pytest.raises(IndexError, match=f"something was stored {words} of a tensor of 10 numbers"):
        far.beyond(torch.zeros(10), where)
    far.beyond(torch.zeros(10), 9)
    far.beyond(torch.zeros(10), 0)


def test_what_was_never_written_is_no_number(far):
    import torch
    assert far.unwritten(2, 3).isnan().all() and far.unwritten((4,), dtype=torch.bfloat16).isnan().all() and far.unwritten(0).shape == (0,)
    assert far.unwritten(3, dtype=torch.int32).tolist() == [2 ** 31 - 1] * 3 and far.unwritten(2, dtype=torch.bool).all()
    like = far.unwritten_like(torch.ones(2, 2, dtype=torch.float16))
    assert like.isnan().all() and like.dtype == torch.float16 and like.shape == (2, 2)
    plain, alike = far.zeros(torch.ones(2, dtype=torch.int8))
    assert plain.tolist() == [[0] * 3] * 2 and alike.tolist() == [0, 0] and alike.dtype == torch.int8


def test_guards_go_when_the_call_is_over():
    torch = pytest.importorskip("torch", reason="needs torch: make setup")
    originals = [torch.empty, torch.zeros, torch.empty_like, torch.zeros_like]
    guards = Guards("cpu")
    with pytest.raises(KeyError, match="its own"):
        with guards:
            guards._allocate((3,), torch.float32).fill_(0)
            raise KeyError("its own")
    assert [torch.empty, torch.zeros, torch.empty_like, torch.zeros_like] == originals and not guards.guarded
    with guards:
        torch.zeros(3)


def test_a_plain_answer_is_a_fresh_module(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text("seen = []")
    load(path).seen.append(1)
    assert load(path).seen == []


# Judging

class Stack(list):
    def top(self):
        return self[-1]


def test_play_compares_what_comes_back_and_tells_the_story():
    class Bottom(Stack):
        def top(self):
            return self[0]

    play([("append", 1), ("append", 2), ("top",), ("pop",)], Stack(), Stack())
    with pytest.raises(AssertionError, match=re.escape("after\n    append(1)\n    append(2)\n    top()\nyours: returns 1\nright: returns 2")):
        play([("append", 1), ("append", 2), ("top",), ("pop",)], Bottom(), Stack())


def test_play_takes_errors_for_outcomes_by_their_type_but_not_what_is_not_written():
    class Other(Stack):
        def top(self):
            raise KeyError("empty")

    class Missing(Stack):
        def top(self):
            raise NotImplementedError("x: top is not written yet")

    play([("top",), ("pop",)], Stack(), Stack())
    with pytest.raises(AssertionError, match=r"yours: raises KeyError \('empty'\), line \d+: raise KeyError\(\"empty\"\)\nright: raises IndexError"):
        play([("top",)], Other(), Stack())
    with pytest.raises(NotImplementedError, match="not written yet"):
        play([("top",)], Missing(), Stack())


def test_play_looks_at_the_invariant_after_each_operation():
    def short(stack):
        assert len(stack) < 3, f"{len(stack)} are too many"

    with pytest.raises(AssertionError, match=re.escape("after\n    append(1)\n    append(2)\n    append(3)\n3 are too many")):
        play([("append", value) for value in (1, 2, 3, 4)], Stack(), Stack(), short)


def test_lines_are_counted_in_the_answer_alone(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text("def loop(n):\n    for _ in range(n):\n        pass\n\ndef two():\n    a = 1\n    return a\n")
    module = load(path)
    costs = {n: count_lines(module, lambda: module.loop(n)) for n in (0, 10, 1000)}
    assert costs == {0: 1, 10: 21, 1000: 2001} and count_lines(module, module.two) == 2 and count_lines(module, lambda: sorted(range(9))) == 0
    import sys
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        count_lines(module, lambda: 1 / 0)
    assert sys.gettrace() is before


def test_comparisons_are_counted():
    Counted.number = 0
    values = [Counted(value) for value in random.Random(0).sample(range(100), 100)]
    assert [each.value for each in sorted(values)] == list(range(100)) and 99 <= Counted.number < 1000
    Counted.number = 0
    assert Counted(3) in {Counted(3): 1} and Counted.number == 3, "two hashes, one comparison"


@pytest.mark.parametrize("cost, power", [(lambda n: 7, 0), (lambda n: 3 * n, 1), (lambda n: n * n, 2), (lambda n: 0, 0)])
def test_growth(cost, power):
    assert grows({n: cost(n) for n in (10, 100, 1000)}) == pytest.approx(power)


# Pearson's statistic by its degrees of freedom, and the tail beyond it, from tables.
@pytest.mark.parametrize("statistic, freedom, tail", [(3.841, 1, 0.05), (6.635, 1, 0.01), (5.991, 2, 0.05), (9.488, 4, 0.05), (18.307, 10, 0.05),
                                                      (23.209, 10, 0.01), (29.588, 10, 0.001), (67.505, 50, 0.05), (86.661, 50, 0.001)])
def test_a_p_value_is_that_of_the_tables(statistic, freedom, tail):
    """Counts whose statistic is the table's: one outcome more, another one less than expected."""
    expected = 1_000_000
    off = math.sqrt(statistic * expected / 2)
    counts = [expected] * (freedom + 1)
    counts[0], counts[1] = expected + off, expected - off
    assert p_value(counts, [1 / (freedom + 1)] * (freedom + 1)) == pytest.approx(tail, rel=0.15)


def test_p_values_of_what_is_right_are_spread_evenly():
    rng = random.Random(0)
    weights = [0.5, 0.2, 0.2, 0.05, 0.04, 0.01]
    values = []
    for _ in range(400):
        draws = rng.choices(range(6), weights, k=500)
        values.append(p_value([draws.count(each) for each in range(6)], weights))
    assert 0.03 < sum(value < 0.1 for value in values) / 400 < 0.17 and 0.4 < sum(value < 0.5 for value in values) / 400 < 0.6
    assert min(values) > 1e-4


def test_a_p_value_notices_what_is_wrong():
    assert p_value([500, 500], [0.4, 0.6]) < 1e-7 and p_value([400, 600], [0.4, 0.6]) > 0.9
    assert p_value([99, 1], [1, 0]) == 0, "what is impossible has happened"
    assert p_value([100, 0], [1, 0]) == 1 and p_value([3], [1]) == 1, "nothing could have come out otherwise"
    assert p_value([1000, *[1] * 100], [1000 / 1100, *[1 / 1100] * 100]) > 0.5, "rare ones count together"
    assert p_value([900, *[2] * 100], [1000 / 1100, *[1 / 1100] * 100]) < 1e-4


def test_tensors_are_compared_with_a_place_and_numbers():
    torch = pytest.importorskip("torch", reason="needs torch: make setup")
    right = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
    assert_close(right.clone(), right, "it")
    assert_close(right + 1e-7, right, "it")
    assert_close(right.half() * 1.001, right.half(), "it")
    assert_close(right + 0.01, right, "it", tolerance=0.01)
    assert_close(torch.empty(0), torch.empty(0), "it")
    for got, words in ((right + 1e-3, r"it: 3 of 4 numbers are wrong; the first at \[0, 0\]: 1.00\d+, should be 1.0"),
                       (right.nan_to_num(9), r"it: 1 of 4 numbers are wrong; the first at \[1, 1\]: 9.0, should be nan"),
                       (right.double(), r"it: expected torch.float32 \[2, 2\], got torch.float64 \[2, 2\]"),
                       (right[0], r"it: expected torch.float32 \[2, 2\], got torch.float32 \[2\]"),
                       ([1], "it: expected a tensor, got list")):
        with pytest.raises(AssertionError, match=words):
            assert_close(got, right, "it")
    with pytest.raises(AssertionError, match="1 of 2"):
        assert_close(torch.tensor([1, 2]), torch.tensor([1, 3]), "integers are equal or wrong")


# drills/conftest.py: a wrong answer has to fail as it says

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
