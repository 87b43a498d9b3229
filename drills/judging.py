"""What judges share: random sequences of operations against an oracle, counted operations, distributions."""
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType


def play(operations: Iterable[tuple], answer: object, oracle: object, invariant: Callable[[object], None] | None = None) -> None:
    """Do the same to both, (method name, *arguments) after another, and compare what comes back; then check the invariant.

    Raising is an outcome like any other: the same type of error has to come.
    """
    __tracebackhide__ = True    # the reader wants the call in the judge
    story = []
    for name, *arguments in operations:
        story.append(f"{name}({', '.join(map(repr, arguments))})")
        expected, got = outcome(oracle, name, arguments), outcome(answer, name, arguments)
        assert got == expected, f"{tell(story)}\nyours: {got}{got.why}\nright: {expected}"
        if invariant:
            try:
                invariant(answer)
            except AssertionError as broken:
                raise AssertionError(f"{tell(story)}\n{broken}") from None


class Outcome(str):
    """What a call gives, in words; `why` it was raised, and where, is told and not compared."""

    why = ""


def outcome(thing: object, name: str, arguments: Sequence) -> Outcome:
    """What a call gives, in words. "Not written yet" is no outcome."""
    try:
        return Outcome(f"returns {getattr(thing, name)(*arguments)!r}")
    except NotImplementedError:
        raise
    except Exception as error:
        got, last = Outcome(f"raises {type(error).__name__}"), traceback.extract_tb(error.__traceback__)[-1]
        got.why = f" ({error}), line {last.lineno}: {last.line}"
        return got


def tell(story: Sequence[str]) -> str:
    return "after\n" + "\n".join(f"    {line}" for line in story)


def count_lines(module: ModuleType, function: Callable[[], object]) -> int:
    """How many lines of the answer are executed by `function`: a cost that does not depend on the machine.

    What a built-in does inside one line is not seen; `Counted` sees comparisons.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename != module.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


class Counted:
    """A value that counts how often it and its like are compared or hashed; `Counted.number` is the count, for a judge to reset."""

    number = 0

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        Counted.number += 1
        return isinstance(other, Counted) and self.value == other.value

    def __lt__(self, other):
        Counted.number += 1
        return self.value < other.value

    def __hash__(self):
        Counted.number += 1
        return hash(self.value)

    def __repr__(self):
        return repr(self.value)


def grows(costs: dict[int, float]) -> float:
    """The power with which costs by size grow between the smallest and the largest size: 0 constant, 1 linear, 2 quadratic."""
    small, large = min(costs), max(costs)
    return math.log(max(costs[large], 1) / max(costs[small], 1)) / math.log(large / small)


def p_value(counts: Sequence[int], probabilities: Sequence[float]) -> float:
    """Pearson's chi-square test: how probable counts at least as odd as these are, if the probabilities are right.

    Outcomes that are expected less than 5 times are taken together. Impossible ones must not occur: then it is 0.
    """
    if any(count and not probability for count, probability in zip(counts, probabilities)):
        return 0.0
    number = sum(counts)
    common = [(count, probability * number) for count, probability in zip(counts, probabilities) if probability * number >= 5]
    rare = (number - sum(count for count, _ in common), number - sum(expected for _, expected in common))
    if rare[1] > 1e-9 * number:
        common.append(rare)
    freedom = len(common) - 1
    if freedom < 1:
        return 1.0
    statistic = sum((count - expected) ** 2 / expected for count, expected in common)
    # Wilson and Hilferty: the cube root of chi-square over its degrees of freedom is nearly normal.
    spread = 2 / (9 * freedom)
    return 0.5 * math.erfc(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


def assert_close(got, right, what: str, tolerance: float | None = None) -> None:
    """Tensors are alike: shape, dtype, and each number, within `tolerance` (by default a few roundings of its dtype)."""
    import torch
    __tracebackhide__ = True    # the reader wants the call in the judge
    assert isinstance(got, torch.Tensor), f"{what}: expected a tensor, got {type(got).__name__}"
    assert got.shape == right.shape and got.dtype == right.dtype, (
        f"{what}: expected {right.dtype} {list(right.shape)}, got {got.dtype} {list(got.shape)}")
    if tolerance is None:
        tolerance = 8 * torch.finfo(right.dtype).eps if right.dtype.is_floating_point else 0
    got, right = got.cpu(), right.cpu()
    wrong = ~torch.isclose(got.double(), right.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    if wrong.any():
        where = tuple(wrong.nonzero()[0].tolist())
        raise AssertionError(f"{what}: {int(wrong.sum())} of {wrong.numel()} numbers are wrong; the first at {list(where)}: "
                             f"{got[where].item()!r}, should be {right[where].item()!r}")
