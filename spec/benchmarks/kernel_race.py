"""One row of the kernels' table: ours and its rivals take turns, and what they computed is compared afterwards."""
import shlex
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from reference import vllm_kernels
from spec.benchmarks.contest import Case

ROUNDS, WARM_UP = 31, 2


class WrongResult(AssertionError):
    """Two contestants did not compute the same, so that their times do not compare."""


class Stopwatch:
    """pytest-benchmark's timer: shows the seconds on the GPU, of one launch a round."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def add(self, seconds: float) -> None:
        self.seconds += seconds


STOPWATCH = Stopwatch()


class Turns:
    """In place of pytest-benchmark's fixture where there is no pytest: plays the rounds, and counts nothing."""

    def pedantic(self, function: Callable[[], None], setup: Callable[[], None], rounds: int, warmup_rounds: int) -> None:
        for _ in range(warmup_rounds + rounds):
            setup()
            function()


@dataclass
class Row:
    """`times`: seconds of a launch, per round and contestant. `absent`: rivals that did not take part, and why."""

    case: Case
    floor: float
    amount: float       # bytes or FLOP
    rate: str
    times: dict[str, list[float]]
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.times[name])

    @property
    def best_of_vllm(self) -> str | None:
        return min((name for name in self.times if name.startswith("vLLM")), key=self.median, default=None)

    def ratio(self, name: str | None) -> float | None:
        """How many times as fast as a contestant ours is: the median over the rounds, in which both had their turn."""
        if name not in self.times:
            return None
        return statistics.median(theirs / ours for ours, theirs in zip(self.times["ours"], self.times[name], strict=True))

    def of_ceiling(self, name: str) -> float:
        return self.floor / self.median(name)

    def bars(self) -> list[tuple[str, float, float | None]]:
        """(what, how much is wanted, how much it is or None)."""
        reached = {"of ceiling": self.of_ceiling("ours"), "vLLM": self.ratio(self.best_of_vllm)}
        return [(what, wanted, reached[what] if what in reached else self.ratio(what)) for what, wanted in self.case.bars.items()]

    def met(self) -> str:
        """"met" or "missed"; "" where there is no bar, or where who it is measured by was not here and the rest is met."""
        judged = [None if reached is None else reached >= wanted for _, wanted, reached in self.bars()]
        return "missed" if False in judged else "met" if judged and None not in judged else ""

    def figures(self) -> dict[str, float | str]:
        """For `extra_info` of pytest-benchmark, and from there for the page and the README."""
        names = {"ours": "ours"} | ({"vLLM": self.best_of_vllm} if self.best_of_vllm else {})
        figures = {"kernel": self.case.kernel, "shape": self.case.shape, "details": self.case.details}
        if self.best_of_vllm:
            figures |= {"ratio to vLLM": self.ratio(self.best_of_vllm), "best of vLLM": self.best_of_vllm}
        scale = {"TB/s": 1e12, "TFLOP/s": 1e12}[self.rate]
        for side, name in names.items():
            figures |= {f"{side} us": self.median(name) * 1e6, f"{side} {self.rate}": self.amount / self.median(name) / scale,
                        f"{side} of ceiling": self.of_ceiling(name)}
        for name in self.times:
            if name not in ("ours", "vLLM"):
                figures |= {f"{name} us": self.median(name) * 1e6, f"times as fast as {name}": self.ratio(name)}
        if len(self.times["ours"]) > 1:
            first, _, third = statistics.quantiles(self.times["ours"], n=4, method="inclusive")
            figures["ours spread"] = (third - first) / self.median("ours")
        figures["bar"] = ", ".join(_bar(what, wanted) for what, wanted, _ in self.bars())
        figures["met"] = self.met()
        figures["absent"] = "; ".join(f"{name}: {why}" for name, why in self.absent.items())
        return figures

    def shown(self) -> dict[str, str]:
        """For the terminal's table."""
        vllm = self.best_of_vllm
        others = "  ".join(f"{name.removeprefix('vLLM ')} {self.median(name) * 1e6:,.1f}" for name in self.times if name not in ("ours", vllm))
        return {"kernel": self.case.kernel, "shape": self.case.shape, "us": f"{self.median('ours') * 1e6:,.1f}",
                "rate": f"{self.amount / self.median('ours') / 1e12:,.{0 if self.rate == 'TFLOP/s' else 2}f} {self.rate}", "of ceiling": f"{self.of_ceiling('ours'):.0%}",
                "ratio to vLLM": f"{self.ratio(vllm):.2f}" if vllm else "", "best of vLLM": f"{vllm} {self.median(vllm) * 1e6:,.1f}" if vllm else "",
                "others": others, "bar": ", ".join(_bar(what, wanted) for what, wanted, _ in self.bars()), "": self.met()}


def _bar(what: str, wanted: float) -> str:
    return f"{wanted:.0%} of ceiling" if what == "of ceiling" else f"{wanted:.2f}x {what}"


def race(case: Case, clock, benchmark, compare: bool | None = None) -> Row:
    """All rounds of one case, then the checks: physics first, then the results.

    `compare`: with vLLM's kernels; None: if they are here. A rival that fails is noted down, and the others run on.
    Raises `TooFast` and `WrongResult`.
    """
    contest = case.contest(clock)
    contestants, absent = {"ours": contest.ours}, {}
    rounds = {"ours": _rounds(clock, contest.ours)}
    for name, make in contest.rivals.items():
        if name.startswith("vLLM") and not (vllm_kernels.available() if compare is None else compare):
            absent[name] = vllm_kernels.WANTED
            continue
        try:
            contestants[name] = make()
            rounds[name] = _rounds(clock, contestants[name])
        except Exception as error:      # whatever another build, another GPU or too little memory brings
            if clock.is_rehearsal:
                raise
            absent[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            contestants.pop(name, None)
    times = {name: [] for name in rounds}

    def rivals_go_first():
        for name in list(rounds)[1:]:
            times[name].append(rounds[name]())

    def ours_follows():
        times["ours"].append(rounds["ours"]())
        STOPWATCH.seconds += times["ours"][-1]

    benchmark.pedantic(ours_follows, setup=rivals_go_first, rounds=ROUNDS, warmup_rounds=WARM_UP)
    times = {name: each[WARM_UP:] for name, each in times.items()}
    amount = contest.flops if contest.rate == "TFLOP/s" else contest.num_bytes
    row = Row(case, clock.ceilings.floor(contest.num_bytes, contest.flops if contest.rate == "TFLOP/s" else 0), amount, contest.rate, times, absent)
    for name in times:
        clock.ceilings.check(row.median(name), contest.num_bytes, contest.flops, f"{name}, {case.kernel} {case.shape},")
    result = contest.ours.result()
    contest.check(*result)
    for name, contestant in contestants.items():
        if name != "ours" and (theirs := contestant.result()) is not None:
            parted = contest.disagreement(result, theirs)
            if not parted <= contest.tolerance:
                raise WrongResult(f"{case.kernel} {case.shape}: ours and {name} differ by {parted:.3g}, and {contest.tolerance:.3g} is allowed")
    return row


def _rounds(clock, contestant):
    return clock.contestant(contestant.launches(), contestant.restore if contestant.in_place else None, contestant.capture)


def command() -> str:
    return shlex.join(["pytest", *sys.argv[1:]])
