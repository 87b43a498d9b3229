"""Logprobs: what the model, or the sampler, thought of a token and of its rivals.

Mirrors `Sampler.gather_logprobs` of `v1/sample/sampler.py` and
`v1/worker/gpu_model_runner.py::GPUModelRunner._get_prompt_logprobs_dict`.
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch

from impl.outputs import ScheduledRequest
from impl.request import Request

LogprobsMode = Literal["raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits"]
Ranked = dict[int, tuple[float, int]]   # (logprob, rank) by token id, the token in question first


def scores(logits: torch.Tensor, mode: LogprobsMode) -> torch.Tensor:
    """What is reported of `logits` [rows, vocabulary]: float32 logprobs, or the logits themselves."""
    return logits.float() if mode.endswith("logits") else logits.log_softmax(-1, dtype=torch.float32)


def rank(scores: torch.Tensor, token_ids: list[int], count: int) -> list[Ranked]:
    """For each row of `scores` [rows, vocabulary], its token and the `count` (-1: all) with the highest scores.

    A token's own rank counts those that tie with it; among the best, its place in the list is its rank.
    """
    best = scores.topk(scores.shape[-1] if count == -1 else count)
    own = scores.gather(1, torch.tensor(token_ids, device=scores.device)[:, None])
    ranks = (scores >= own).sum(-1)
    table = zip(token_ids, own[:, 0].tolist(), ranks.tolist(), best.indices.tolist(), best.values.tolist())
    return [{token_id: (score, place)} | {rival: (value, index) for index, (rival, value) in enumerate(zip(rivals, values), 1)}
            for token_id, score, place, rivals, values in table]


class PromptLogprobs:
    """Collects, chunk by chunk, the logprobs of the prompts whose requests ask for them."""

    def __init__(self, mode: LogprobsMode):
        self.mode = mode
        self.positions: dict[str, dict[int, Ranked]] = {}   # by request and position; a preempted prompt is computed and put down again

    def collect(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], query_start: list[int], hidden: torch.Tensor,
                compute_logits: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Take what this step tells. `hidden` [tokens, hidden size] of the step; each request's tokens begin at `query_start`."""
        for share, start in zip(shares, query_start):
            request = requests[share.request_id]
            count, first = request.sampling_params.prompt_logprobs, share.num_computed_tokens
            num_rows = min(share.num_tokens, request.num_prompt_tokens - 1 - first)     # the last token tells of the first one generated
            if count is None or num_rows <= 0 or request.num_output_tokens:
                continue
            logits = compute_logits(hidden[start:start + num_rows])
            told = rank(scores(logits, self.mode), list(request.prompt_token_ids[first + 1:first + 1 + num_rows]), count)
            self.positions.setdefault(share.request_id, {}).update(zip(range(first + 1, first + 1 + num_rows), told))

    def pop(self, request: Request) -> list[Ranked] | None:
        """A whole prompt's logprobs but the first token's, which nothing predicts; None if none are asked for, or they were had before."""
        if request.sampling_params.prompt_logprobs is None or request.num_output_tokens:
            return None
        told = self.positions.pop(request.request_id, {})
        return [told[position] for position in sorted(told)]

    def forget(self, request_id: str) -> None:
        self.positions.pop(request_id, None)
