"""vLLM and ours, each in a process of its own, with one model: they take turns, and one is stopped while the other works."""
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from reference.engine_process import EngineProcess, EngineProcessError
from reference.vllm_scheduler import installed_version
from spec.benchmarks.engine_scale import EngineScale
from spec.benchmarks.kernel_race import STOPWATCH

WANTED = "vLLM is not installed, so ours is measured alone: install the build of vLLM for GPUs"


@dataclass
class Pair:
    """`absent`: why vLLM is not here. `first`: by engine, the seconds of the first question after the start."""

    ours: EngineProcess
    vllm: EngineProcess | None
    absent: str
    say: Callable[[str], None]
    first: dict[str, float] = field(default_factory=dict)

    @property
    def engines(self) -> dict[str, EngineProcess]:
        """vLLM's turn is the first."""
        return {name: engine for name, engine in (("vLLM", self.vllm), ("ours", self.ours)) if engine}

    def take_turns(self, benchmark, rounds: int, ask: Callable[[EngineProcess, int], dict]) -> dict[str, list[dict]]:
        """By engine, what each round but the first, which warms up, was answered. `ask` gets an engine and the round's number."""
        answers: dict[str, list[dict]] = {name: [] for name in self.engines}

        def turn(name: str) -> None:
            answers[name].append(ask(self.engines[name], len(answers[name])))
            self.say(f"  {name}: {answers[name][-1]['seconds']:.3f} s{'' if len(answers[name]) > 1 else ' (warm-up)'}")

        def vllm_goes_first() -> None:
            if self.vllm:
                turn("vLLM")

        def ours_follows() -> None:
            turn("ours")
            STOPWATCH.add(answers["ours"][-1]["seconds"])

        benchmark.pedantic(ours_follows, setup=vllm_goes_first, rounds=rounds, warmup_rounds=1)
        return {name: each[1:] for name, each in answers.items()}


@contextmanager
def opened(scale: EngineScale, model: str, door: str, say: Callable[[str], None]) -> Iterator[Pair]:
    """Both engines, ready and stopped. Where vLLM is not installed or does not start, ours is alone, and that is said."""
    with ExitStack() as stack:
        vllm, absent = None, WANTED
        if installed_version():
            say(f"\nvLLM's {door} starts: it compiles and captures, a minute or so ...")
            try:
                vllm, absent = stack.enter_context(EngineProcess("vllm", model, door, scale.arguments["vllm"])), ""
            except EngineProcessError as error:
                absent = f"vLLM did not start, so ours is measured alone: {error}"
        say(absent or f"ready after {vllm.ready['seconds']:.1f} s; ours starts ...")
        ours = stack.enter_context(EngineProcess("impl", model, door, scale.arguments["impl"]))
        say(f"ready after {ours.ready['seconds']:.1f} s")
        yield Pair(ours, vllm, absent, say)
