"""An engine that is watched while it works: prompts come when somebody has typed them, each step is told as it is made.

What a step tells is what a run's timeline tells (`reference/timeline.py`), so that what was seen live plays back.
"""
import impl
from impl.request_output import RequestOutput
from reference.cassette import write_step
from reference.generate import OurGenerator
from reference.prompts import Ask, Prompts
from reference.trace import State, Step
from reference.vllm_llm import VllmGenerator, VllmLLM
from reference.vllm_scheduler import installed_device, installed_version

ENGINES = ("impl", "vllm")


class NoVllm(RuntimeError):
    """The real vLLM is wanted, and is not installed."""


class LiveEngine:
    """One engine, `impl` or `vllm`, under the limits of `prompts`. Raises what the engine raises when it is built."""

    def __init__(self, name: str, prompts: Prompts):
        self.name = name
        self.generator = OurGenerator(impl, prompts, device=installed_device()) if name == "impl" else VllmGenerator(prompts)
        self.last_state: State | None = None
        self.texts: dict[str, str] = {}

    def add(self, ask: Ask) -> None:
        """Raises what the engine says of a prompt it does not take."""
        self.generator.add(ask)

    def abort(self, request_id: str) -> None:
        self.generator.abort(request_id)

    def has_unfinished_requests(self) -> bool:
        return self.generator.has_unfinished_requests()

    def step(self, index: int) -> tuple[Step, dict]:
        """One step, as a value to compare, and as plain data."""
        added = self._take(self.generator.step())
        step = self.generator.watcher.take()[-1]
        step.index = index
        told = write_step(step, self.last_state) | {name: value for name, value in (("reasons", list(step.reasons)), ("text", added)) if value}
        self.last_state = step.updated_state
        return step, told

    def close(self) -> None:
        self.generator.close()

    def _take(self, outputs: list[RequestOutput]) -> dict[str, str]:
        """The text that became visible, by request."""
        added = {}
        for output in outputs:
            text, before = output.outputs[0].text, self.texts.get(output.request_id, "")
            if text != before:
                added[output.request_id], self.texts[output.request_id] = text[len(before):], text
        return added


def prepare(name: str, prompts: Prompts) -> None:
    """Raise what would be raised when the engine is built, while another one is still whole: nothing is lost then.

    The real vLLM is kept, and found again by its limits. Ours is built twice, which takes no time.
    """
    if name == "impl":
        OurGenerator(impl, prompts, device=installed_device())
    elif not installed_version():
        raise NoVllm("the real vLLM is not installed here: choose impl, or run 'make setup'")
    else:
        VllmLLM(str(prompts.folder), **prompts.limits)
