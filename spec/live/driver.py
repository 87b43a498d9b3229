"""Drives the engines of a session, at their speed or a step at a time, as it is asked to.

What is seen is what was written down: the run file, which grows. Nobody who watches is told anything, so nobody who
watches can slow an engine; and what was seen plays back.
"""
import queue
import time
from collections.abc import Sequence
from pathlib import Path

from reference.live import prepare
from reference.play import tell
from reference.prompts import Prompts, prompts
from spec.live.controls import ENGINES
from spec.live.session import Session

# Small enough that something happens: chunks, waiting, preemption.
DEFAULTS = {"num_blocks": 17, "block_size": 32, "max_num_batched_tokens": 32, "max_num_seqs": 4}
LONGEST = 512   # tokens of a sequence, if the pool has room for so many and nobody says otherwise


class Driver:
    """`put` and `stop` may be called from any thread; all else belongs to the one of `run`.

    `files`: the run files, in their order; the last one grows, the others are complete.
    """

    def __init__(self, runs: Path):
        self.runs, self.files = runs, []
        self.controls: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self.paused, self.steps_per_second = False, 8
        self.turned = 0.0       # when the last step was made
        self._open()
        self._tell_state()

    def put(self, control: dict) -> None:
        """Ask for something that `controls.read_control` has checked."""
        self.controls.put(control)

    def stop(self) -> None:
        """Let `run` end, and complete the run file."""
        self.controls.put(None)

    def run(self) -> None:
        """Take what is asked, and turn the engines at their speed."""
        while True:
            try:
                control = self.controls.get(timeout=self.until_next_turn())
            except queue.Empty:
                self.turn()
                continue
            if control is None:
                return self.session.close()
            self.take(control)

    def take(self, control: dict) -> None:
        """Do what is asked. What goes wrong is told, and changes nothing."""
        control = dict(control)
        try:
            getattr(self, control.pop("do"))(**control)
        except Exception as error:
            self.session.note(tell(error), "error")

    def turn(self) -> None:
        """One step, if there is anything to do."""
        self.turned = time.monotonic()
        self.session.turn()
        if self.session.crashed:
            self._tell_state()

    def until_next_turn(self) -> float | None:
        """Seconds; None: there is nothing to do until somebody asks."""
        if self.paused or not self.session.unfinished:
            return None
        return max(0.0, self.turned + 1 / self.steps_per_second - time.monotonic())

    # what may be asked: one method for each name in `controls.CONTROLS`

    def ask(self, prompt: str, max_tokens: int, temperature: float, seed: int | None, priority: int) -> None:
        self.session.ask(prompt, {"temperature": temperature, "max_tokens": max_tokens} | ({} if seed is None else {"seed": seed}), priority)

    def abort(self, request_id: str) -> None:
        self.session.abort(request_id)

    def pause(self) -> None:
        self.paused = True
        self._tell_state()

    def resume(self) -> None:
        self.paused = False
        self._tell_state()

    def step(self) -> None:
        """One step, and then stand still."""
        self.pause()
        self.turn()

    def speed(self, steps_per_second: float) -> None:
        self.steps_per_second = steps_per_second
        self._tell_state()

    def engine(self, engine: str, model: str, limits: dict) -> None:
        """Begin anew with these engines and limits. What they refuse leaves everything as it is."""
        if engine != "impl":
            self.session.note("Starting vLLM. The first time takes a quarter of a minute.", "starting")
        asked = prompts(model, **_vllm_names(limits))
        for name in ENGINES[engine]:
            prepare(name, asked)
        self._begin(ENGINES[engine], asked)

    def save(self) -> None:
        """Complete this run file, and begin anew under the same limits."""
        session = self.session
        if not session.asked:
            return session.note("There is nothing to save: no engine has begun.", "error")
        self._begin([engine.name for engine in session.engines], prompts(session.asked.model, **session.asked.limits))
        self.session.note(f"Saved. This shows it again: python -m reports {_from_here(session.file.path)}", "saved")

    # the steps of all this

    def _open(self) -> None:
        self.session = Session(self.runs)
        self.files.append(self.session.file.path)

    def _begin(self, names: Sequence[str], asked: Prompts) -> None:
        """In a new run file, unless nothing has begun in this one."""
        if self.session.asked:
            self.session.close()
            self._open()
        self.session.begin(names, asked)
        self._tell_state()

    def _tell_state(self) -> None:
        self.session.file.append({"type": "control", "paused": self.paused, "steps_per_second": self.steps_per_second, "crashed": self.session.crashed})


def _vllm_names(limits: dict) -> dict:
    """The limits as arguments of `LLM`. Unless somebody says otherwise, a sequence may be as long as the pool has room for."""
    named = DEFAULTS | limits
    named.setdefault("max_model_len", max(1, min(LONGEST, (named["num_blocks"] - 1) * named["block_size"])))
    other = {"num_blocks": "num_gpu_blocks_override", "policy": "scheduling_policy"}
    return {other.get(name, name): value for name, value in named.items()}


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
