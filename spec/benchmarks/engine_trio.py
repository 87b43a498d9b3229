"""Ours on one GPU, ours on two, and vLLM on two, each in processes of its own, with one model: they take turns, and those who are not asked are stopped.

Who cannot start, or ends, takes no part from then on; the others go on, and the reason stands beside their numbers.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from reference.engine_process import EngineProcess, EngineProcessError
from reference.vllm_scheduler import installed_version
from spec.benchmarks.kernel_race import STOPWATCH
from spec.benchmarks.two_gpus_scale import ONE, TWO, VLLM, TwoGpusScale

WANTED = "vLLM is not installed: install its build for GPUs"


@dataclass
class Trio:
    """`engines`: in the order of their turns. `absent`: who takes no part, and why. `end`: by `perf_counter`, when no more is begun."""

    engines: dict[str, EngineProcess]
    absent: dict[str, str]
    say: Callable[[str], None]
    end: float
    started: dict[str, float] = field(default_factory=dict)     # seconds that `LLM()` took

    def start(self, name: str, scale: TwoGpusScale, model: str) -> None:
        self.say(f"{name} starts ...")
        try:
            self.engines[name] = EngineProcess("vllm" if name == VLLM else "impl", model, "LLM", scale.arguments[name], patience=scale.patience)
        except EngineProcessError as error:
            self.leave_out(name, f"did not start: {error}")
        else:
            self.started[name] = self.engines[name].ready["build"]
            self.say(f"  ready after {self.engines[name].ready['seconds']:.1f} s")

    def leave_out(self, name: str, why: str) -> None:
        """For the rest of the contest. Its processes, which may be waiting for each other on the GPUs, are ended."""
        self.absent[name] = why
        self.say(f"  {name} {why}")
        if name in self.engines:
            self.engines.pop(name).__exit__()

    def end_all(self) -> None:
        """Whoever comes next needs their memory."""
        while self.engines:
            self.engines.popitem()[1].__exit__()

    def seconds_left(self) -> float:
        return self.end - perf_counter()

    def take_turns(self, benchmark, rounds: int, ask: Callable[[EngineProcess, int], dict]) -> dict[str, list[dict]]:
        """By contestant, what each round but the first, which warms up, was answered. `ask` gets an engine and the round's number.

        There are fewer rounds where time is short, but one at least.
        """
        answers: dict[str, list[dict]] = {name: [] for name in self.engines}
        for number in range(rounds + 1):
            began = perf_counter()
            for name in list(self.engines):
                self._turn(name, number, ask, answers[name])
            if number > 0 and self.seconds_left() < perf_counter() - began:
                self.say(f"  time is short: {number} of {rounds} rounds")
                break
        answers = {name: each[1:] for name, each in answers.items() if name in self.engines}
        if answers:
            timed = iter(answers.get(TWO) or next(iter(answers.values())))
            benchmark.pedantic(lambda: STOPWATCH.add(next(timed)["seconds"]), rounds=number, warmup_rounds=0)
        return answers

    def _turn(self, name: str, number: int, ask: Callable[[EngineProcess, int], dict], answers: list[dict]) -> None:
        try:
            answers.append(ask(self.engines[name], number))
            self.say(f"  {name}: {answers[-1]['seconds']:.3f} s{'' if number else ' (warm-up)'}")
        except EngineProcessError as error:
            self.leave_out(name, f"gave up: {error}")


@contextmanager
def opened(scale: TwoGpusScale, model: str, say: Callable[[str], None], end: float) -> Iterator[Trio]:
    """All three, ready and stopped, one started after the other: vLLM looks at how much memory is free, and so is the first."""
    trio = Trio({}, {}, say, end)
    try:
        if installed_version():
            trio.start(VLLM, scale, model)
        else:
            trio.leave_out(VLLM, WANTED)
        for name in (ONE, TWO):
            trio.start(name, scale, model)
        yield trio
    finally:
        trio.end_all()
