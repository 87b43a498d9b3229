"""Chunked prefill: your answer. The problem is in drills/classics/chunked_prefill/README.md."""
from typing import NamedTuple


class Chunk(NamedTuple):
    """What a request computes in a step: the tokens at the positions start, ..., end - 1."""

    request: int        # its index
    start: int
    end: int
    samples: bool       # whether the step gives it a new token


def plan(prompt_lens: list[int], output_lens: list[int], token_budget: int, long_prefill_token_threshold: int = 0) -> list[list[Chunk]]:
    """The steps until every request has its output. All are there from the beginning, and are served in their order.

    prompt_lens, output_lens: at least 1 each. token_budget: tokens per step. long_prefill_token_threshold: the most that one
    request may take of a step in which others are there too; 0: no such limit.
    """
    raise NotImplementedError("chunked_prefill: plan is not written yet")
