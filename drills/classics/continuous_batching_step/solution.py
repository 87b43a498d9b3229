"""Who runs comes first, at the cost of who came last; then, if nobody had to go, who waits comes in, in order."""
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol


class Request(Protocol):  # given
    """A request has `num_tokens` tokens, prompt and output, of which `num_computed_tokens` have their keys and values."""

    request_id: str
    num_tokens: int
    num_computed_tokens: int


class Blocks(Protocol):  # given
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
class Step:  # given
    """What was decided, by request id."""

    scheduled: dict[str, int] = field(default_factory=dict)     # the tokens to compute, in the order of serving
    admitted: list[str] = field(default_factory=list)
    preempted: list[str] = field(default_factory=list)


def schedule_step(running: list[Request], waiting: deque[Request], blocks: Blocks, token_budget: int, max_num_seqs: int, cap: int | None = None) -> Step:
    """Decide one step. `running` and `waiting` are changed in place, and so is `num_computed_tokens`, as if the step had been computed.

    cap: the most tokens that one request may get in a step; None: as many as there are.
    """
    step = Step()
    token_budget = _schedule_running(step, running, waiting, blocks, token_budget, cap)
    if not step.preempted:
        _schedule_waiting(step, running, waiting, blocks, token_budget, max_num_seqs, cap)
    return step


def _schedule_running(step: Step, running: list, waiting: deque, blocks: Blocks, token_budget: int, cap: int | None) -> int:
    """Returns the budget that is left."""
    index = 0
    while index < len(running) and token_budget > 0:
        request = running[index]
        num_new_tokens = _share(request.num_tokens - request.num_computed_tokens, token_budget, cap)
        if num_new_tokens > 0:
            if not _allocate_or_preempt(step, request, num_new_tokens, running, waiting, blocks):
                break
            _take(step, request, num_new_tokens)
            token_budget -= num_new_tokens
        index += 1
    return token_budget


def _allocate_or_preempt(step: Step, request: Request, num_new_tokens: int, running: list, waiting: deque, blocks: Blocks) -> bool:
    """Room for a request at the cost of the last ones; False if it was the last itself."""
    while not blocks.allocate(request, num_new_tokens):
        victim = running.pop()
        blocks.free(victim)
        victim.num_computed_tokens = 0
        waiting.appendleft(victim)
        step.preempted.append(victim.request_id)
        if victim is request:
            return False
    return True


def _schedule_waiting(step: Step, running: list, waiting: deque, blocks: Blocks, token_budget: int, max_num_seqs: int, cap: int | None) -> None:
    while waiting and token_budget > 0 and len(running) < max_num_seqs:
        request = waiting[0]
        num_cached_tokens = blocks.cached_tokens(request)
        num_new_tokens = _share(request.num_tokens - num_cached_tokens, token_budget, cap)
        if not blocks.admit(request, num_cached_tokens, num_new_tokens):
            break       # nobody overtakes it
        running.append(waiting.popleft())
        request.num_computed_tokens = num_cached_tokens
        step.admitted.append(request.request_id)
        _take(step, request, num_new_tokens)
        token_budget -= num_new_tokens


def _share(num_missing_tokens: int, token_budget: int, cap: int | None) -> int:
    return min(num_missing_tokens, token_budget, num_missing_tokens if cap is None else cap)


def _take(step: Step, request: Request, num_new_tokens: int) -> None:
    step.scheduled[request.request_id] = num_new_tokens
    request.num_computed_tokens += num_new_tokens
