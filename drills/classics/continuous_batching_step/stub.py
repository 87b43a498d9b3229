"""Continuous batching step: your answer. The problem is in drills/classics/continuous_batching_step/README.md."""
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol


class Request(Protocol):
    """A request has `num_tokens` tokens, prompt and output, of which `num_computed_tokens` have their keys and values."""

    request_id: str
    num_tokens: int
    num_computed_tokens: int


class Blocks(Protocol):
    """Who holds which blocks. What is refused has changed nothing."""

    def cached_tokens(self, request: Request) -> int:
        """How many tokens of a waiting request are found in the prefix cache; fewer than it has."""

    def admit(self, request: Request, num_cached_tokens: int, num_new_tokens: int) -> bool:
        """Give a waiting request its cached blocks and room for so many tokens more, or refuse."""

    def allocate(self, request: Request, num_new_tokens: int) -> bool:
        """Give a running request room for so many tokens after its `num_computed_tokens`, or refuse."""

    def free(self, request: Request) -> None:
        """Take all blocks of a running request."""


@dataclass
class Step:
    """What was decided, by request id."""

    scheduled: dict[str, int] = field(default_factory=dict)     # the tokens to compute, in the order of serving
    admitted: list[str] = field(default_factory=list)
    preempted: list[str] = field(default_factory=list)


def schedule_step(running: list[Request], waiting: deque[Request], blocks: Blocks, token_budget: int, max_num_seqs: int, cap: int | None = None) -> Step:
    """Decide one step. `running` and `waiting` are changed in place, and so is `num_computed_tokens`, as if the step had been computed.

    cap: the most tokens that one request may get in a step; None: as many as there are.
    """
    raise NotImplementedError("continuous_batching_step: schedule_step is not written yet")
