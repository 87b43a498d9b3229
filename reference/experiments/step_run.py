"""One engine of the step budget, in a process of its own: built, brought to a steady decode, and timed twice.

    python -m reference.experiments.step_run ENGINE FOLDER SIZE RESULTS

Each situation leaves a line of JSON in RESULTS as soon as it is done, so that whatever comes after it can take nothing away.
"""
import json
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from reference.experiments.step_clock import Clock, watch_waiting
from reference.experiments.step_engines import BUILD, DEVICE_NAME
from reference.experiments.step_events import DEVICE, WINDOW, told_by

REACH = 500     # steps until all decode, at most: 256 prompts of 800 tokens are 25 steps of 8,192


@dataclass(frozen=True)
class Situation:
    """Requests that all decode. `settle`: steps before the clock runs; `steps`: of each of the two measurements."""

    name: str
    num_requests: int
    prompt: int         # tokens
    temperature: float
    settle: int
    steps: int

    @property
    def max_tokens(self) -> int:
        """Nobody ends while others are measured; who came first has decoded for as many steps as the other prompts took."""
        return self.settle + 2 * self.steps + 100


# One alone comes first and ends by itself; of the crowd nobody needs to clean up.
FULL = (Situation("one alone", 1, 100, 0.0, settle=10, steps=40), Situation("256 decode", 256, 800, 0.6, settle=8, steps=20))
TINY = (Situation("one alone", 1, 20, 0.0, settle=2, steps=4), Situation("8 decode", 8, 40, 0.6, settle=2, steps=4))
SIZES = {"full": FULL, "tiny": TINY}


def measured(engine, situation: Situation, clock: Clock, vocabulary: int) -> dict:
    """Raises `RuntimeError` if not all requests decode in each measured step."""
    rng = random.Random(situation.num_requests)
    for number in range(situation.num_requests):
        prompt = [rng.randrange(3, vocabulary) for _ in range(situation.prompt)]
        engine.add(f"{situation.name} {number}", prompt, situation.temperature, situation.max_tokens)
    reached = _all_decode(engine, situation)
    reached += sum(_step(engine, situation) for _ in range(situation.settle))
    clock.seconds.clear()
    walls = [_timed_step(engine, situation) for _ in range(situation.steps)]
    phases = [[*where, seconds / situation.steps * 1e3] for where, seconds in clock.seconds.items()]
    cached = situation.num_requests * (situation.prompt + situation.steps / 2) + reached     # tokens, in the middle of these steps
    found = {"situation": situation.name, "requests": situation.num_requests, "cached": cached, "walls": walls, "phases": phases,
             "absent": clock.absent, "facts": engine.facts}
    try:
        found["profile"] = profiled(engine, situation)
    except Exception as error:
        found["error"] = f"the profile: {type(error).__name__}: {error}"
    return found


def _all_decode(engine, situation: Situation) -> int:
    """Step until each request has a new token in the same step; returns how many tokens there are by then."""
    reached = 0
    for _ in range(REACH):
        told = engine.step()
        reached += told
        if told == situation.num_requests:
            return reached
    raise RuntimeError(f"after {REACH} steps the {situation.num_requests} requests still do not decode together")


def profiled(engine, situation: Situation) -> dict:
    """As many steps again under the profiler, after two in which it warms up."""
    from torch.profiler import ProfilerActivity, profile, record_function
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if DEVICE_NAME == "cuda" else [])
    with profile(activities=kinds) as profiler:
        for _ in range(2):
            _step(engine, situation)
        with record_function(WINDOW):
            for _ in range(situation.steps):
                _step(engine, situation)
        _step(engine, situation)        # what was launched last is told as well
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return told_by(events, situation.steps, DEVICE if DEVICE_NAME == "cuda" else ("cpu_op",))


def _step(engine, situation: Situation) -> int:
    told = engine.step()
    if told != situation.num_requests:
        raise RuntimeError(f"a step told of {told} requests, not of {situation.num_requests}: they do not decode together")
    return told


def _timed_step(engine, situation: Situation) -> float:
    """Milliseconds."""
    began = perf_counter()
    _step(engine, situation)
    return (perf_counter() - began) * 1e3


def copy_speed() -> float:
    """Bytes a second, read and written, of the fastest of five copies on the device."""
    import torch
    source = torch.randint(0, 255, (1 << (30 if DEVICE_NAME == "cuda" else 24),), dtype=torch.uint8, device=DEVICE_NAME)
    target, best = torch.empty_like(source), 0.0
    for _ in range(5):
        if DEVICE_NAME == "cuda":
            torch.cuda.synchronize()
        began = perf_counter()
        for _ in range(10):
            target.copy_(source)
        if DEVICE_NAME == "cuda":
            torch.cuda.synchronize()
        best = max(best, 10 * 2 * source.numel() / (perf_counter() - began))
    del source, target
    if DEVICE_NAME == "cuda":
        torch.cuda.empty_cache()
    return best


def main() -> None:
    name, folder, size, results = sys.argv[1:]
    began = perf_counter()

    def say(words: str) -> None:
        print(f"[{name} {perf_counter() - began:5.1f} s] {words}", file=sys.stderr, flush=True)

    def leave(told: dict) -> None:
        with open(results, "a") as file:
            file.write(json.dumps(told) + "\n")

    vocabulary = json.loads((Path(folder) / "config.json").read_text())["vocab_size"]
    leave({"copy speed": copy_speed()})
    clock = Clock()
    say("building the engine ...")
    engine = BUILD[name](folder, size, clock)
    watch_waiting(clock)
    leave({"built": perf_counter() - began})
    for situation in SIZES[size]:
        say(f"{situation.name} ...")
        try:
            leave(measured(engine, situation, clock, vocabulary))
            while situation is not SIZES[size][-1] and engine.busy():
                engine.step()
        except Exception as error:
            say(f"{situation.name}: {type(error).__name__}: {error}")
            leave({"situation": situation.name, "error": f"{type(error).__name__}: {error}"})
    say("done")


if __name__ == "__main__":
    main()
