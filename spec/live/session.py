"""One run file, and the engines that fill it: the same prompts for each, step by step.

Besides what a live run file has (`run`, `request`, `step`, `note`) there are

    {"type": "control", "paused": false, "steps_per_second": 8, "crashed": false}
    {"type": "abort", "id": "3"}
    {"type": "workload", "source": "prompts(…)…"}       before the footer: the session as Python, to make a claim of
"""
from collections.abc import Sequence
from pathlib import Path

from reference.generate import Generation
from reference.live import LiveEngine
from reference.play import tell
from reference.prompts import Ask, Prompts
from reference.timeline import timeline
from reference.trace import Run, Step
from reports.run_file import RunFile
from spec.bench.divergence import first_divergence

SIDES = {"impl": "ours", "vllm": "theirs"}
NAMES = {"impl": "impl", "vllm": "vLLM"}
CROWD = 64      # unfinished requests; more are not taken


class Session:
    """`asked`: the limits, and all that was asked so far; None until the engines have begun."""

    def __init__(self, runs: Path):
        self.file = RunFile(runs, ["python", "-m", "spec.live"], {"live": True})
        self.engines: list[LiveEngine] = []
        self.asked: Prompts | None = None
        self.index = 0                          # of the next step
        self.alive: dict[str, set[str]] = {}    # the requests that have not finished, and in which engines
        self.crashed = self.parted = False

    def begin(self, names: Sequence[str], asked: Prompts) -> None:
        """Build the engines. Raises what they raise."""
        self.engines, self.asked = [LiveEngine(name, asked) for name in names], asked
        for name in names:
            told = timeline(Generation(asked, name)) | {"ended": None}      # not yet
            self.file.append({"type": "run", "side": SIDES[name], "model": asked.model, "timeline": told})

    @property
    def unfinished(self) -> bool:
        return not self.crashed and any(engine.has_unfinished_requests() for engine in self.engines)

    def ask(self, prompt: str, params: dict, priority: int) -> None:
        """Hand a prompt to each engine, before the next step."""
        if not self.engines or self.crashed:
            return self.note("No engine is running: begin one with the limits on this page.", "error")
        if len(self.alive) >= CROWD:
            return self.note(f"{len(self.alive)} requests are not finished, and no more are taken: wait, or abort some.", "error")
        if params["temperature"] and "seed" not in params and len(self.engines) == 2:
            self.note("Without a seed each engine draws by its own chance, so they will part. Give a seed to compare them.")
        ask = Ask(str(len(self.asked.asks) + 1), prompt, params, self.index, priority)
        takers = {engine.name for engine in self.engines if self._offer(engine, ask)}
        if takers:
            self.asked = self.asked.ask(ask.request_id, prompt, arrives=self.index, priority=priority, **params)
            self.alive[ask.request_id] = takers
            self.file.append({"type": "request", "request": timeline(Generation(self.asked, ""))["requests"][-1]})

    def abort(self, request_id: str) -> None:
        if request_id not in self.alive:
            return self.note(f"There is no request {request_id!r} to abort: it has finished, or never was.", "error")
        for engine in self.engines:
            engine.abort(request_id)
        del self.alive[request_id]
        self.asked = self.asked.abort(request_id, at=self.index)
        self.file.append({"type": "abort", "id": request_id})

    def turn(self) -> None:
        """One step of each engine that has something to do; of two, where they part for the first time."""
        if not self.unfinished:
            return
        steps = [self._step(engine) for engine in self.engines]
        self.index += 1
        if len(steps) == 2 and not self.parted and not self.crashed:
            self._compare(*steps)

    def note(self, text: str, kind: str = "") -> None:
        """Something for the person to read."""
        self.file.append({"type": "note", "text": text, "kind": kind})

    def close(self) -> None:
        """The run file is complete then."""
        for engine in self.engines:
            engine.close()
        if self.asked and self.asked.asks:
            self.file.append({"type": "workload", "source": self.asked.source()})
        self.file.close(0, {}, {})

    def _offer(self, engine: LiveEngine, ask: Ask) -> bool:
        """Whether the engine takes a prompt. What it says if not is told."""
        try:
            engine.add(ask)
            return True
        except Exception as error:
            self.note(f"{NAMES[engine.name]} does not take the prompt: {tell(error)}", "error")
            return False

    def _step(self, engine: LiveEngine) -> Step | None:
        """One step of one engine; an empty one if it has nothing to do while the other has, so that they stay in step."""
        step, told = None, {}
        try:
            if engine.has_unfinished_requests():
                step, told = engine.step(self.index)
        except Exception as error:
            self.crashed = True
            self.note(f"{NAMES[engine.name]} crashed in step {self.index}: {tell(error)}. What was seen stays; begin anew to go on.", "error")
        self.file.append({"type": "step", "side": SIDES[engine.name], "index": self.index, "step": told})
        for done in step.outputs if step else ():
            if done.finish_reason:
                self._ended(done.request_id, engine.name)
        return step

    def _ended(self, request_id: str, engine: str) -> None:
        left = self.alive.get(request_id, set())
        left.discard(engine)
        if not left:
            self.alive.pop(request_id, None)

    def _compare(self, *steps: Step | None) -> None:
        runs = [Run(self.asked, engine.name, [step] if step else []) for engine, step in zip(self.engines, steps)]
        parting = first_divergence(*runs)
        if parting:
            self.parted = True
            what = "one has more to do than the other" if None in steps else f"{parting.what} differs"
            self.note(f"The engines part in step {self.index - 1}: {what}.", "difference")
