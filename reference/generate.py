"""Prompts through a whole engine, and what came of it: every decision on the way, every token, text and logprob.

An engine is anything with `add`, `abort`, `step` and `has_unfinished_requests`;
its scheduler is watched from outside, so that what is written down is what an
engine does that nobody watches.
"""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import NamedTuple

from impl.request_output import CompletionOutput, RequestOutput
from reference.play import state_of, tell
from reference.prompts import Ask, Prompts
from reference.trace import CRASHED, CUT, REFUSED, Run, Step


class NearTie(NamedTuple):
    """A token chosen otherwise than by vLLM where the two best are too close to call: `gap` is at most twice `error`."""

    request_id: str
    position: int       # of the token in the output
    gap: float          # between our two best logprobs
    error: float        # the largest difference between our logprobs and vLLM's at this position


@dataclass
class Generation(Run):
    """A run with a model in it: `workload` is the prompts. What `Run` says of decisions holds here too."""

    requests: dict[str, RequestOutput] = field(default_factory=dict)       # the last that was said of each
    refused: dict[str, str] = field(default_factory=dict)                  # the error, of those that were not taken
    stream: list[dict[str, str]] = field(default_factory=list)             # by step: the text it added, by sequence
    near_ties: list[NearTie] = field(default_factory=list, compare=False)

    def of(self, request_id: str, index: int = 0) -> CompletionOutput:
        """One sequence of a request."""
        return self.requests[request_id].outputs[index]

    def tokens(self, request_id: str, index: int = 0) -> list[int]:
        return self.of(request_id, index).token_ids

    def text(self, request_id: str, index: int = 0) -> str:
        return self.of(request_id, index).text

    @cached_property
    def pieces(self) -> dict[str, list[str]]:
        """The text of each sequence in the pieces in which it became visible."""
        pieces: dict[str, list[str]] = {}
        for step in self.stream:
            for name, text in step.items():
                pieces.setdefault(name, []).append(text)
        return pieces


def generate(prompts: Prompts, build: Callable[[Prompts], object], engine: str) -> Generation:
    """Run `prompts` through the engine that `build` makes. An error of the engine is part of the run."""
    run = Generation(prompts, engine)
    try:
        player = _Player(prompts, build(prompts), run)
    except Exception as error:
        run.ended, run.error = REFUSED, tell(error)
        return run
    try:
        for index in range(prompts.max_steps):
            if not player.turn(index) and index >= prompts.last_event:
                break
        else:
            run.ended = CUT
    except Exception as error:
        run.ended, run.error = CRASHED, tell(error)
    player.engine.close()
    return run


class _Player:
    def __init__(self, prompts: Prompts, engine, run: Generation):
        self.prompts, self.engine, self.run = prompts, engine, run
        self.visible: dict[str, str] = {}
        self.families = {ask.request_id for ask in prompts.asks if ask.params.get("n", 1) != 1}

    def turn(self, index: int) -> bool:
        """What happens before step `index`, then the step itself; whether anything is left to do."""
        refused: list[str] = []
        for ask in self.prompts.asks:
            if ask.arrives == index:
                self._arrive(ask, refused)
        for request_id, at in self.prompts.aborts:
            if at == index:
                self.engine.abort(request_id)
        if self.engine.has_unfinished_requests():
            outputs = self.engine.step()
            for step in self.engine.watcher.take():
                step.index, step.refused = len(self.run.steps), tuple(refused)
                self.run.steps.append(step)
            self.run.stream.append(self._take(outputs))
        return self.engine.has_unfinished_requests()

    def _arrive(self, ask: Ask, refused: list[str]) -> None:
        """A refusal is a result: it is noted, and the run goes on."""
        try:
            self.engine.add(ask)
        except Exception as error:
            self.run.refused[ask.request_id] = tell(error)
            refused.append(f"request {ask.request_id}")

    def _take(self, outputs: list[RequestOutput]) -> dict[str, str]:
        """Keep the newest of each sequence; what became visible with this step."""
        new = {}
        for output in outputs:
            kept = self.run.requests.setdefault(output.request_id, output)
            sequences = {each.index: each for each in kept.outputs} | {each.index: each for each in output.outputs}
            output.outputs = [sequences[index] for index in sorted(sequences)]
            self.run.requests[output.request_id] = output
            for each in output.outputs:
                name = f"{output.request_id}/{each.index}" if output.request_id in self.families else output.request_id
                before = self.visible.get(name, "")
                if not each.text.startswith(before):
                    raise AssertionError(f"{name}: text was taken back: {before!r} became {each.text!r}")
                if each.text != before:
                    new[name], self.visible[name] = each.text[len(before):], each.text
        return new


class Watcher:
    """Writes down what passes through a scheduler's `schedule` and `update_from_output`.

    `eyes`: `decision` and `outcome`, which tell what these two return in our value
    types, and `state`.
    """

    def __init__(self, scheduler, eyes):
        self.scheduler, self.eyes, self.steps = scheduler, eyes, []
        self.schedule, self.update = scheduler.schedule, scheduler.update_from_output
        scheduler.schedule, scheduler.update_from_output = self._schedule, self._update

    def remove(self) -> None:
        """Nobody watches any more."""
        del self.scheduler.schedule, self.scheduler.update_from_output

    def take(self) -> list[Step]:
        """The steps since the last call."""
        steps, self.steps = self.steps, []
        return steps

    def _schedule(self, *arguments):
        output = self.schedule(*arguments)
        self.decision, self.state = self.eyes.decision(output), self.eyes.state()
        return output

    def _update(self, output, sampled):
        answer = self.update(output, sampled)
        decision = self.decision
        self.steps.append(Step(0, (), (), tuple(decision.scheduled), tuple(sorted(decision.preempted_req_ids)),
                               tuple(sorted(decision.finished_req_ids)), self.state, tuple(self.eyes.outcome(answer)), self.eyes.state(),
                               (), tuple(map(str, decision.reasons))))
        return answer


class OurGenerator:
    """The doors of `impl.LLM` or of the LLM of a package put in its place.

    `forced`: the tokens of each sequence, to be taken in place of those it samples;
    only such as it finds likely enough to have listed among its logprobs. `where`: further arguments of the LLM, such as `device`.
    """

    def __init__(self, package: ModuleType, prompts: Prompts, forced: Mapping[str, list[int]] | None = None, **where):
        self.params = package.SamplingParams
        self.engine = package.LLM(str(prompts.folder), **prompts.limits, **where).engine
        self.watcher = Watcher(self.engine.scheduler, _OurEyes(self.engine.scheduler))
        if forced:
            self._force(forced)

    def add(self, ask: Ask) -> None:
        prompt = ask.prompt if isinstance(ask.prompt, str) else list(ask.prompt)
        self.engine.add_request(ask.request_id, prompt, self.params(**ask.params), priority=ask.priority)
        if ask.params.get("structured_outputs"):    # how fast a grammar is compiled is nobody's decision
            self.engine.grammar_compiler.finish()

    def abort(self, request_id: str) -> None:
        self.engine.abort(request_id)

    def step(self) -> list[RequestOutput]:
        return self.engine.step()

    def has_unfinished_requests(self) -> bool:
        return self.engine.has_unfinished_requests()

    def close(self) -> None:
        """Nothing is kept."""

    def _force(self, forced: Mapping[str, list[int]]) -> None:
        execute = self.engine.model_runner.execute

        def forced_execute(output, requests):
            sampled = execute(output, requests)
            for request_id, new in sampled.items():
                token_ids = forced.get(request_id, [])[requests[request_id].num_output_tokens:][:len(new.token_ids)]
                if token_ids and new.logprobs and all(token_id in ranked for token_id, ranked in zip(token_ids, new.logprobs)):
                    new.token_ids = token_ids
            return sampled

        self.engine.model_runner.execute = forced_execute


class _OurEyes:
    def __init__(self, scheduler):
        self.scheduler = scheduler

    def decision(self, output):
        return output

    def outcome(self, answer):
        return answer

    def state(self):
        return state_of(self.scheduler)
