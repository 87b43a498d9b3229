"""The value types in which decisions are told, by every engine the lab knows."""
from dataclasses import dataclass, field
from typing import NamedTuple

NEW, RESUMED, RUNNING = "new", "resumed", "running"


class ScheduledRequest(NamedTuple):
    """One request's share of a step."""

    request_id: str
    kind: str                           # NEW, RESUMED (after a preemption) or RUNNING
    num_tokens: int                     # tokens to compute in this step
    num_computed_tokens: int            # tokens whose keys and values are there already
    new_block_ids: tuple[int, ...]      # the whole block table if new or resumed, else what was added to it;
                                        # where there are several KV cache groups, a tuple of these, one per group
    spec_token_ids: tuple[int, ...] = ()        # the drafts among its tokens: the last of them


class Reason(NamedTuple):
    """Why a decision was taken, put down at the branch that took it. `str()` reads it out."""

    request_id: str
    text: str
    values: tuple = ()

    def __str__(self) -> str:
        return f"{self.request_id} {self.text.format(*self.values)}"


@dataclass(slots=True)
class SchedulerOutput:
    """One step's decision. Mirrors `v1/core/sched/output.py::SchedulerOutput`."""

    scheduled: list[ScheduledRequest]           # in the order in which the scheduler served them
    preempted_req_ids: list[str]                # since the last step: to make room, or by a reset
    finished_req_ids: list[str]                 # since the last step: the workers may forget them
    reasons: list[Reason] = field(default_factory=list, compare=False)


class EngineCoreOutput(NamedTuple):
    """What a step gave one request. Mirrors `v1/engine/__init__.py::EngineCoreOutput`."""

    request_id: str
    new_token_ids: tuple[int, ...]
    finish_reason: str | None = None        # "stop", "length", "abort" or "error"
    stop_reason: int | str | None = None    # the stop token, if it was one; what was wrong, if something was
