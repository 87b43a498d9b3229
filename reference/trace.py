"""A run, step by step: what an engine decided, and what it left behind."""
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from impl.outputs import NEW, RESUMED, RUNNING, EngineCoreOutput, ScheduledRequest
from reference.workload import Workload


class State(NamedTuple):
    """The queues and the pool at one moment, as ids."""

    running: tuple[str, ...]            # in the order in which they are served
    waiting: tuple[str, ...]            # the next to be admitted first
    free_blocks: tuple[int, ...]        # the next to be given out first
    cached_blocks: tuple[int, ...]      # in the prefix cache, in use or free; ascending
    usage: float | None = None          # the share of the pool that is held, as the engine itself says
    block_tables: dict[str, tuple[tuple[int, ...], ...]] | None = None    # with sliding windows: of who runs, per KV cache group


@dataclass(slots=True)
class Step:
    """One step. All fields but `errors` and `reasons` are compared between engines."""

    index: int
    refused: tuple[str, ...]                    # requests the engine would not take
    resets: tuple[bool, ...]                    # what `reset_prefix_cache` returned
    scheduled: tuple[ScheduledRequest, ...]     # in the order of service
    preempted: tuple[str, ...]                  # ascending
    finished: tuple[str, ...]                   # as told to the workers, ascending
    scheduled_state: State                      # after schedule()
    outputs: tuple[EngineCoreOutput, ...]          # of update_from_output()
    updated_state: State                        # after update_from_output()
    errors: tuple[str, ...] = ()                # what it said to a refused request, abort, reset or pause
    reasons: tuple[str, ...] = ()

    @property
    def new(self) -> list[ScheduledRequest]:
        return [request for request in self.scheduled if request.kind == NEW]

    @property
    def resumed(self) -> list[ScheduledRequest]:
        return [request for request in self.scheduled if request.kind == RESUMED]

    @property
    def running(self) -> list[ScheduledRequest]:
        return [request for request in self.scheduled if request.kind == RUNNING]

    @property
    def admitted(self) -> list[ScheduledRequest]:
        return [request for request in self.scheduled if request.kind != RUNNING]

    @property
    def num_tokens(self) -> int:
        return sum(request.num_tokens for request in self.scheduled)

    def of(self, request_id: str) -> ScheduledRequest | None:
        """The share of one request in this step."""
        return next((request for request in self.scheduled if request.request_id == request_id), None)


NULL = 0        # the null block's id: in a block table it stands where a window has left every token


def by_group(new_block_ids: tuple) -> tuple[tuple[int, ...], ...]:
    """`new_block_ids` of each KV cache group, also where there is only one."""
    return new_block_ids if new_block_ids and isinstance(new_block_ids[0], tuple) else (new_block_ids,)


FINISHED, STALLED, CUT, CRASHED, REFUSED = "finished", "stalled", "cut", "crashed", "refused"


@dataclass
class Run:
    """What became of a workload in one engine.

    `ended`: FINISHED (nothing is left to do), STALLED (something is left, but nothing
    is scheduled and nothing more will happen), CUT (at the workload's `max_steps`),
    CRASHED (`error` in a step) or REFUSED (`error`, when the engine was built).
    """

    workload: Workload
    engine: str
    steps: list[Step] = field(default_factory=list)
    ended: str = FINISHED
    error: str | None = None
    prefix_cache: dict[str, int] = field(default_factory=dict)     # its statistics
    watched: list[dict[str, str]] = field(default_factory=list, compare=False, kw_only=True)    # by step: what was watched came to
    spec_decoding: dict = field(default_factory=dict, kw_only=True)     # those of speculative decoding; empty without it

    @cached_property
    def outputs(self) -> dict[str, list[int]]:
        """The tokens generated for each request."""
        tokens: dict[str, list[int]] = {}
        for step in self.steps:
            for output in step.outputs:
                tokens.setdefault(output.request_id, []).extend(output.new_token_ids)
        return tokens

    @cached_property
    def finish_reasons(self) -> dict[str, str]:
        return {output.request_id: output.finish_reason
                for step in self.steps for output in step.outputs if output.finish_reason}

    @cached_property
    def block_tables(self) -> list[dict[str, tuple[int, ...]]]:
        """The block table of each request that holds one, after each step's schedule().

        With sliding windows, what `State.block_tables` says: one for each KV cache group.
        """
        if any(step.scheduled_state.block_tables is not None for step in self.steps):
            return [step.scheduled_state.block_tables for step in self.steps]
        tables: dict[str, tuple[int, ...]] = {}
        history = []
        for step in self.steps:
            for share in step.scheduled:
                before = tables[share.request_id] if share.kind == RUNNING else ()
                tables[share.request_id] = before + share.new_block_ids
            history.append({request_id: tables[request_id] for request_id in step.scheduled_state.running})
        return history

    def shares(self, request_id: str) -> list[ScheduledRequest]:
        """The shares of one request in all the steps it was scheduled in."""
        return [share for step in self.steps if (share := step.of(request_id))]

    def first_step(self, request_id: str) -> Step:
        """The step that admitted a request for the first time."""
        return next(step for step in self.steps if step.of(request_id))

    @property
    def preemptions(self) -> list[str]:
        return [request_id for step in self.steps for request_id in step.preempted]
