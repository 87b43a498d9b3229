"""A step in the making: the budget that is left, and what has been given away."""
from impl.config import SchedulerConfig
from impl.outputs import Reason, ScheduledRequest
from impl.request import Request


def long_prefill_cap(config: SchedulerConfig, num_requests: int) -> int:
    """How many tokens one of so many requests may take of a step.

    Alone, a request has nobody to starve: it may take all that it can ever ask for.
    """
    cap = config.long_prefill_token_threshold if num_requests > 1 else 0
    if cap and config.long_prefill_token_threshold_adaptive:
        cap = max(cap, config.max_num_batched_tokens // num_requests)
    return cap or config.max_model_len


class Step:
    """What one call of `Scheduler.schedule` has decided so far."""

    __slots__ = ("token_budget", "long_prefill_cap", "scheduled", "has_prefill", "preempted", "reasons")

    def __init__(self, config: SchedulerConfig, num_requests: int):
        self.token_budget = config.max_num_batched_tokens
        self.long_prefill_cap = long_prefill_cap(config, num_requests)
        self.scheduled: dict[str, ScheduledRequest] = {}
        self.has_prefill = False        # among the running requests that it serves is one within its prompt
        self.preempted = False          # somebody had to go
        self.reasons: list[Reason] = []

    def note(self, request_id: str, text: str, *values) -> None:
        self.reasons.append(Reason(request_id, text, values))

    def capped(self, num_tokens: int) -> int:
        """What a request may get of a step that has nobody else to serve."""
        return min(num_tokens, self.long_prefill_cap)

    def share(self, request: Request, num_tokens: int) -> int:
        """How many of the tokens it asks for a request gets."""
        if num_tokens <= self.token_budget and num_tokens <= self.long_prefill_cap:
            return num_tokens
        share = min(self.token_budget, self.long_prefill_cap)
        self.note(request.request_id, "is cut to {} of {} tokens: the {}", share, num_tokens,
                  "token budget" if share < self.capped(num_tokens) else "long-prefill cap")
        return share

    def take(self, request: Request, kind: str, num_tokens: int, new_block_ids: tuple, spec_token_ids: tuple[int, ...]) -> None:
        """Give a request its share. It counts as computed from now on: the next step may be decided before this one has run."""
        num_computed_tokens = request.num_computed_tokens
        self.token_budget -= num_tokens
        self.scheduled[request.request_id] = ScheduledRequest(
            request.request_id, kind, num_tokens, num_computed_tokens, new_block_ids, spec_token_ids)
        request.num_computed_tokens = num_computed_tokens = num_computed_tokens + num_tokens
        request.is_prefill_chunk = num_computed_tokens < len(request.token_ids)

    def give_back(self, request: Request) -> None:
        """Make a request a victim: under the priority policy it may have had its share already."""
        self.preempted = True
        taken = self.scheduled.pop(request.request_id, None)
        if taken:
            self.token_budget += taken.num_tokens
