"""What a race between kernels consists of: who takes part, on which tensors, and how their results are compared."""
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from spec.kernels.exactness import assert_as_exact_as_torch

BLOCK_SIZE = 16
EPS = 1e-6
CHECKED = 16    # rows that are compared with the twin: in float64 it is slow


@dataclass
class Contestant:
    """`launch` is called with each of `sets`, one after the other: as many launches as a replay has.

    `in_place` says which arguments it changes, so that they are put back before each round. `seen` makes of the
    arguments and what was returned the tensors that are compared, or None of what cannot be.
    """

    launch: Callable
    sets: list[tuple]
    in_place: tuple[int, ...] = ()
    seen: Callable[[tuple, object], tuple | None] = lambda arguments, returned: (returned,)
    capture: bool = True

    def __post_init__(self):
        self.untouched = [self.sets[0][index].clone() for index in self.in_place]

    def restore(self) -> None:
        for arguments in self.sets:
            for index, untouched in zip(self.in_place, self.untouched):
                arguments[index].copy_(untouched)

    def launches(self) -> list[Callable[[], object]]:
        return [lambda arguments=arguments: self.launch(*arguments) for arguments in self.sets]

    def result(self) -> tuple | None:
        """Of the first set, launched once more."""
        self.restore()
        arguments = self.sets[0]
        return self.seen(arguments, self.launch(*arguments))


@dataclass
class Contest:
    """`rivals` are made when it is their turn, since some may be missing; those of vLLM by the names that begin so.

    `check` gets ours's result, and asserts that it is right; `disagreement` is a share, 0 for equal results, and
    must stay within `tolerance`.
    """

    ours: Contestant
    num_bytes: int
    flops: int = 0
    rivals: dict[str, Callable[[], Contestant]] = field(default_factory=dict)
    check: Callable[..., None] = lambda *result: None
    disagreement: Callable[[tuple, tuple], float] = lambda ours, theirs: 0.0
    tolerance: float = 0.01
    rate: str = "TB/s"      # or TFLOP/s: what the ceiling is made of


@dataclass(frozen=True)
class Case:
    """`bars`: how many times as fast as whom ("vLLM": the best of them), or which share of the ceiling. `tiny`: the arguments where there is no GPU."""

    kernel: str
    shape: str
    details: str
    build: Callable[..., Contest]
    arguments: dict
    tiny: dict
    bars: dict[str, float] = field(default_factory=dict)

    def contest(self, clock) -> Contest:
        torch.manual_seed(0)
        return self.build(clock, **(self.tiny if clock.is_rehearsal else self.arguments))


def relative(ours: tuple, theirs: tuple) -> float:
    """The norm of the difference, as a share of the norm."""
    return max(((a.double() - b.double()).norm() / b.double().norm()).item() for a, b in zip(ours, theirs, strict=True))


def exactly(twin: Callable[..., tuple], *arguments: object) -> Callable[..., None]:
    """A check: the result, or its part that `arguments` are about, is as exact as the twin's."""
    def check(*result) -> None:
        wide = [each.double() if isinstance(each, torch.Tensor) and each.is_floating_point() else each for each in arguments]
        for ours, torchs, exact in zip(result, twin(*arguments), twin(*wide), strict=True):
            assert_as_exact_as_torch(ours[:len(exact)], torchs, exact)
    return check


def randn(clock, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=clock.dtype, device=clock.device)


def empty(clock, *shape: int) -> torch.Tensor:
    return torch.empty(*shape, dtype=clock.dtype, device=clock.device)
