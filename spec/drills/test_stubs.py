"""The generator of stubs: what of a solution its stub says, and what it keeps to itself."""
import pytest

from drills import stubs

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
