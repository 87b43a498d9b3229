"""Playing a workload through an engine, and writing down what it did.

An engine is anything with the doors of `impl.Scheduler`; `reference/vllm_scheduler.py`
puts them in front of the real one. The model is played too: it generates the text
`<request id>.out`, so that an engine cannot change what is said by changing when.
"""
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType, SimpleNamespace

import impl
from reference.trace import CRASHED, CUT, REFUSED, STALLED, Run, State, Step
from reference.workload import EOS, Action, RequestSpec, Workload


def play(workload: Workload, build: Callable[[Workload], object], engine: str,
         watch: Callable[[object, Step], None] | None = None) -> Run:
    """Run `workload` through the engine that `build` makes. An error of the engine is part of the run.

    `watch(engine, step)` is called at the end of each step.
    """
    run = Run(workload, engine)
    try:
        player = _Player(workload, build(workload), watch)
    except Exception as error:
        run.ended, run.error = REFUSED, tell(error)
        return run
    for index in range(workload.max_steps):
        try:
            step = player.step(index)
        except Exception as error:
            run.ended, run.error = CRASHED, tell(error)
            return run
        run.steps.append(step)
        if index >= workload.last_event:
            if not step.updated_state.running and not step.updated_state.waiting and not player.computing:
                break
            if not step.scheduled and not step.preempted and not player.has_updated:
                run.ended = STALLED
                break
    else:
        run.ended = CUT
    run.prefix_cache = player.engine.prefix_cache_stats()
    if player.num_speculative_tokens:
        run.spec_decoding = player.engine.spec_decoding_stats()
    return run


class OurEngine:
    """The doors of `impl`, or of any package put in its place, as the player uses them.

    A package must have a `Scheduler`; what else it lacks is taken from `impl`.
    """

    def __init__(self, package: ModuleType, workload: Workload):
        self.types = SimpleNamespace(**{name: getattr(package, name, getattr(impl, name)) for name in (
            "Grammar", "PauseState", "Request", "SamplingParams", "SchedulerConfig", "fan_out")})
        self.grammars: dict[str, tuple[object, PlayedMatcher]] = {}
        config = self.types.SchedulerConfig(**workload.config)
        if workload.engine:
            config.require_pool_for_one_sequence()
        self.scheduler = package.AsyncScheduler(config) if config.async_scheduling else package.Scheduler(config)

    def add(self, spec: RequestSpec, arrival_time: float) -> list[str]:
        """Queue a request, or its `n` children; returns their ids."""
        params = self.types.SamplingParams(
            n=spec.n, max_tokens=spec.max_tokens, min_tokens=spec.min_tokens, eos_token_id=EOS, ignore_eos=spec.ignore_eos,
            stop_token_ids=spec.stop_token_ids, prompt_logprobs=spec.prompt_logprobs,
            skip_reading_prefix_cache=spec.skip_reading_prefix_cache)
        more = {"grammar": self.types.Grammar()} if spec.grammar else {}
        children = self.types.fan_out(self.types.Request(
            spec.request_id, spec.prompt_token_ids(), params, priority=spec.priority, arrival_time=arrival_time, cache_salt=spec.cache_salt, **more))
        for child in children:
            self.scheduler.add_request(child)
            if spec.grammar:
                self.grammars[child.request_id] = child.grammar, PlayedMatcher(spec.grammar_rejects)
        return [child.request_id for child in children]

    def act(self, action: Action) -> bool | None:
        if action.name == "abort":
            return self.scheduler.abort(action.argument)
        if action.name == "reset_prefix_cache":
            return self.scheduler.reset_prefix_cache(reset_running_requests=action.argument)
        if action.name == "compiled":
            grammar, matcher = self.grammars[action.argument]
            return grammar.compiled(matcher)
        if action.name == "compile error":
            return self.grammars[action.argument][0].failed("made to fail by the workload")
        return self.scheduler.set_pause_state(self.types.PauseState(action.argument))

    def schedule(self):
        return self.scheduler.schedule()

    def update(self, output, sampled):
        return self.scheduler.update_from_output(output, sampled)

    def draft(self, drafts: dict[str, list[int]]) -> None:
        self.scheduler.update_draft_token_ids(drafts)

    def state(self) -> State:
        return state_of(self.scheduler)

    def ref_counts(self) -> list[int]:
        """References to each block, by id."""
        return [block.ref_cnt for block in self.scheduler.block_manager.pool.blocks]

    def prefix_cache_stats(self) -> dict[str, int]:
        stats = getattr(self.scheduler.block_manager, "stats", None)
        return asdict(stats) if stats else {}

    def spec_decoding_stats(self) -> dict:
        return asdict(self.scheduler.speculation.stats)


class PlayedMatcher:
    """A grammar that allows everything, or all up to one token."""

    def __init__(self, rejects: int | None):
        self.rejects, self.number = rejects, 0

    def accept(self, token_ids) -> bool:
        self.number += len(token_ids)
        return self.rejects is None or self.number < self.rejects


def state_of(scheduler) -> State:
    """The queues and the pool of a scheduler with the doors of ours."""
    manager = scheduler.block_manager
    pool = getattr(manager, "pool", None)
    return State(tuple([request.request_id for request in scheduler.running]),
                 tuple([request.request_id for request in scheduler.waiting]),
                 tuple(manager.free_blocks),
                 tuple([block.block_id for block in pool.blocks if block.block_hash is not None]) if pool else (),
                 pool.usage if pool else None,
                 {request.request_id: manager.group_tables(request.request_id) for request in scheduler.running} if hasattr(manager, "group_tables") else None)


class _Player:
    def __init__(self, workload: Workload, engine, watch):
        self.engine, self.watch = engine, watch
        self.num_speculative_tokens = workload.config.get("num_speculative_tokens", 0)
        self.arrivals: dict[int, list[RequestSpec]] = {}            # by step
        self.actions: dict[tuple[int, bool], list[Action]] = {}     # by step, and whether between its halves
        for spec in workload.requests:
            self.arrivals.setdefault(spec.arrives, []).append(spec)
        for action in workload.actions:
            self.actions.setdefault((action.at, action.between), []).append(action)
        self.specs: dict[str, RequestSpec] = {}     # by the id of the request, or of the child
        self.num_prompt: dict[str, int] = {}        # tokens of its prompt
        self.num_known: dict[str, int] = {}         # tokens of prompt and output
        self.num_arrived = 0
        self.max_in_flight = 1 if workload.config.get("async_scheduling") else 0
        self.in_flight: deque = deque()     # steps that are decided and not taken in
        self.has_updated = False            # whether this step has taken in a step that computed something

    @property
    def computing(self) -> bool:
        return any(output.scheduled for output in self.in_flight)

    def step(self, index: int) -> Step:
        refused, complaints, resets = [], [], []
        for spec in self.arrivals.get(index, ()):
            self._attempt(refused, f"request {spec.request_id}", lambda: self._arrive(spec))
        self._act(index, False, complaints, resets)
        output = self.engine.schedule()
        self.in_flight.append(output)
        scheduled_state = self.engine.state()
        self._act(index, True, complaints, resets)
        outputs = self._update()
        for done in outputs:
            self.num_known[done.request_id] += len(done.new_token_ids)
        if self.num_speculative_tokens:
            self._draft(output.scheduled)
        step = Step(index, tuple([refusal.partition(":")[0] for refusal in refused]), tuple(resets), tuple(output.scheduled),
                    tuple(sorted(output.preempted_req_ids)), tuple(sorted(output.finished_req_ids)),
                    scheduled_state, tuple(outputs), self.engine.state(),
                    tuple(refused + complaints), tuple(map(str, output.reasons)))
        if self.watch:
            self.watch(self.engine, step)
        return step

    def _update(self) -> list:
        """Take in the step just decided or, with asynchronous scheduling, the one before: the next is decided first.

        Mirrors `v1/engine/core.py::EngineCore.step_with_batch_queue`.
        """
        self.has_updated = False
        if len(self.in_flight) <= self.max_in_flight:
            return []
        output = self.in_flight.popleft()
        self.has_updated = bool(output.scheduled)
        return self.engine.update(output, self._sample(output.scheduled))

    def _arrive(self, spec: RequestSpec) -> None:
        self.num_arrived += 1
        arrival_time = float(self.num_arrived) if spec.arrival_time is None else spec.arrival_time
        for request_id in self.engine.add(spec, arrival_time):
            self.specs[request_id] = spec
            self.num_prompt[request_id] = self.num_known[request_id] = spec.num_prompt_tokens

    def _act(self, index: int, between: bool, complaints: list[str], resets: list[bool]) -> None:
        for action in self.actions.get((index, between), ()):
            answer = self._attempt(complaints, f"{action.name} {action.argument}", lambda: self.engine.act(action))
            if action.name == "reset_prefix_cache" and answer is not None:
                resets.append(answer)

    def _attempt(self, refused: list[str], what: str, action: Callable):
        """A refusal is a result: it is noted, and the run goes on."""
        try:
            return action()
        except (AttributeError, TypeError, NameError):  # a door that is missing or broken refuses nothing
            raise
        except Exception as error:
            refused.append(f"{what}: {tell(error)}")

    def _sample(self, scheduled) -> dict[str, list[int]]:
        """For each request which the step computes to its end: the drafts that were right, and one token more."""
        sampled = {}
        for share in scheduled:
            request_id, drafts = share.request_id, share.spec_token_ids
            if share.num_computed_tokens + share.num_tokens - len(drafts) == self.num_known[request_id]:
                first = self._num_output(request_id) + 1
                text = [self.specs[request_id].output_token(request_id, number) for number in range(first, first + 1 + len(drafts))]
                num_right = next((index for index, draft in enumerate(drafts) if draft != text[index]), len(drafts))
                sampled[request_id] = text[:num_right + 1]
        return sampled

    def _draft(self, scheduled) -> None:
        """A proposer drafts for whoever was scheduled, also in the middle of a prompt: it is for the scheduler to ignore that."""
        drafts = {share.request_id: self.specs[share.request_id].draft_token_ids(
            share.request_id, self._num_output(share.request_id), self.num_speculative_tokens) for share in scheduled}
        self.engine.draft({request_id: token_ids for request_id, token_ids in drafts.items() if token_ids is not None})

    def _num_output(self, request_id: str) -> int:
        return self.num_known[request_id] - self.num_prompt[request_id]


def tell(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
