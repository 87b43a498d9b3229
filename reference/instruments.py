"""What may be put on a real scheduler while it plays what is asked: a step to stop in, and expressions to watch.

`schedule` is replaced from outside, on the one scheduler, as the watcher in `reference/generate.py` does: what runs is vLLM's own code.
An expression is evaluated after each `schedule()`, with the names of `reference/vllm_scheduler.py::names_to_watch`. It is to
look, not to touch: what it changes is changed.
"""
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from reference.play import tell
from reference.vllm_scheduler import names_to_watch

LONGEST = 200   # characters of a value


@dataclass
class Instruments:
    """`stop(schedule, *arguments)` is called in place of `schedule` at step `stop_at` of each run, and returns what that returns."""

    watch: tuple[str, ...] = ()
    stop_at: int | None = None
    stop: Callable | None = None
    stopped: bool = False       # whether that step has come, in any run
    most_steps: int = 0         # of the runs so far

    def attach(self, scheduler, watched: list[dict[str, str]]) -> None:
        """From now on steps are counted, from 0. `watched` gets a dict for each: the expressions' values as text."""
        schedule, numbers = scheduler.schedule, count()

        def instrumented(*arguments):
            number = next(numbers)
            self.most_steps = max(self.most_steps, number + 1)
            if number == self.stop_at:
                self.stopped = True
                output = self.stop(schedule, *arguments)
            else:
                output = schedule(*arguments)
            names = names_to_watch(scheduler, output)
            watched.append({expression: value_of(expression, names) for expression in self.watch})
            return output

        scheduler.schedule = instrumented


def value_of(expression: str, names: dict) -> str:
    """What it comes to, as text; an error is a value too."""
    try:
        text = repr(eval(expression, names))
    except Exception as error:
        text = tell(error)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
