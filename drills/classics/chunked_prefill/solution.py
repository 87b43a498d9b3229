"""The prompts and outputs of some requests, cut into the chunks of successive steps."""
from typing import NamedTuple


class Chunk(NamedTuple):  # given
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
    num_tokens = list(prompt_lens)          # known so far: the prompt, then also what was sampled
    num_computed_tokens = [0] * len(prompt_lens)
    unfinished = [*range(len(prompt_lens))]
    steps = []
    while unfinished:
        cap = long_prefill_token_threshold if len(unfinished) > 1 else 0
        step, budget = [], token_budget
        for request in unfinished:
            start = num_computed_tokens[request]
            size = min(num_tokens[request] - start, budget)
            if cap:
                size = min(size, cap)
            if size == 0:       # the budget is used up
                break
            budget -= size
            end = num_computed_tokens[request] = start + size
            step.append(Chunk(request, start, end, samples=end == num_tokens[request]))
        for chunk in step:
            num_tokens[chunk.request] += chunk.samples
        unfinished = [request for request in unfinished if num_tokens[request] < prompt_lens[request] + output_lens[request]]
        steps.append(step)
    return steps
