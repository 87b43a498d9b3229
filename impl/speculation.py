"""Speculative decoding, as far as the scheduler is concerned: drafts are computed with the last token, and taken back where they were wrong.

A proposer (n-gram, a small model) guesses how a request goes on. The model computes
all guesses in one step and says, for each, what it would have said itself: the
guesses are right up to the first difference, and that token comes on top for free.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field

from impl.config import SchedulerConfig
from impl.request import Request

PLACEHOLDER = -1    # in the place of a draft that nobody has proposed; always rejected


@dataclass(slots=True)
class SpecDecodingStats:
    """How many drafts there were and how many were right; by position, the first draft of a step first.

    Mirrors `v1/spec_decode/metrics.py::SpecDecodingStats`.
    """

    num_drafts: int = 0                 # requests, once for each step in which they had drafts
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    num_draft_tokens_per_pos: list[int] = field(default_factory=list)
    num_accepted_tokens_per_pos: list[int] = field(default_factory=list)

    def observe_draft(self, num_draft_tokens: int, num_accepted_tokens: int) -> None:
        self.num_drafts += 1
        self.num_draft_tokens += num_draft_tokens
        self.num_accepted_tokens += num_accepted_tokens
        for position in range(num_draft_tokens):
            self.num_draft_tokens_per_pos[position] += 1
        for position in range(num_accepted_tokens):
            self.num_accepted_tokens_per_pos[position] += 1


class Speculation:
    """What drafts change in a step. Without drafts, nothing.

    Mirrors the lines about `spec_token_ids` in `v1/core/sched/scheduler.py::Scheduler`.
    """

    def __init__(self, config: SchedulerConfig):
        self.num_speculative_tokens = config.num_speculative_tokens
        self.max_model_len = config.max_model_len
        self.stats = SpecDecodingStats(num_draft_tokens_per_pos=[0] * config.num_speculative_tokens,
                                       num_accepted_tokens_per_pos=[0] * config.num_speculative_tokens)

    def num_missing_tokens(self, request: Request) -> int:
        """Tokens and drafts that a running request has yet to compute; the token that comes on top must fit as well."""
        missing = request.num_tokens + len(request.spec_token_ids) - request.num_computed_tokens
        return min(missing, self.max_model_len - request.num_computed_tokens - 1)

    def take_drafts(self, request: Request, num_new_tokens: int) -> tuple[int, ...]:
        """The drafts among the next `num_new_tokens` of a running request. Those that are cut off are forgotten."""
        num_drafts = request.num_computed_tokens + num_new_tokens - request.num_tokens
        drafts, request.spec_token_ids = request.spec_token_ids[:max(num_drafts, 0)], ()
        return drafts

    def placeholders(self, num_computed_tokens: int, beside_decodes: bool) -> tuple[int, ...]:
        """What a request that is admitted with one token left is given in the place of drafts.

        It makes it as wide as those that decode with drafts, so that a CUDA graph
        for equally wide requests serves them all.
        """
        has_room = num_computed_tokens + 1 + self.num_speculative_tokens < self.max_model_len
        return (PLACEHOLDER,) * self.num_speculative_tokens if has_room and (beside_decodes or num_computed_tokens) else ()

    def verify(self, request: Request, drafts: Sequence[int], num_sampled_tokens: int) -> None:
        """Take back the drafts that were wrong: their keys and values will be overwritten. Their blocks stay.

        All sampled tokens but the last are drafts that were right.
        """
        num_accepted = num_sampled_tokens - 1
        request.num_computed_tokens -= len(drafts) - num_accepted
        self.stats.observe_draft(len(drafts), num_accepted)
