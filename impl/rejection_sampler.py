"""The rejection sampler: which drafts a request would have said itself, and what it says behind them.

A draft of an n-gram is proposed for certain: whatever its probability p to the model,
the proposer's is 1. It is accepted with probability p, and otherwise replaced by a
token of the others, each in proportion. That is what comes of sampling a token as ever
and comparing: it is the draft with probability p. So there is one rule, for greedy
requests and for random ones: go on as long as the draft is what was sampled.

Mirrors `v1/sample/rejection_sampler.py::RejectionSampler`.
"""
from collections.abc import Sequence
from copy import copy
from itertools import takewhile

import torch

from impl.request import Request
from impl.sampler import Sampled, Sampler
from impl.speculation import PLACEHOLDER


class RejectionSampler:
    """`sampler`: what samples a token for each row, as for requests without drafts."""

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def __call__(self, logits: torch.Tensor, requests: Sequence[Request], drafts: Sequence[tuple[int, ...]]) -> dict[str, Sampled]:
        """The tokens of each request: its drafts up to the first wrong one, and one token more.

        `logits` [rows, vocabulary]: of each request a row for its last token, and one for each of its drafts.
        """
        self._mask(logits, requests, drafts)
        before = [self.sampler.remember(request) for request in requests]
        ahead = [_ahead(request, proposed[:number]) for request, proposed in zip(requests, drafts) for number in range(len(proposed) + 1)]
        rows = iter(self.sampler.sample(logits, ahead))
        said = {request.request_id: _accepted([next(rows) for _ in range(len(proposed) + 1)], proposed) for request, proposed in zip(requests, drafts)}
        for request, state in zip(requests, before):
            self.sampler.draw_again(request, state, len(said[request.request_id].token_ids))
        return said

    def _mask(self, logits: torch.Tensor, requests: Sequence[Request], drafts: Sequence[tuple[int, ...]]) -> None:
        """Forbid what the grammars do not let come behind the drafts. Behind a placeholder nothing comes."""
        for rows, request, proposed in zip(logits.split([len(proposed) + 1 for proposed in drafts]), requests, drafts):
            if request.grammar:
                real = [draft for draft in proposed if draft != PLACEHOLDER]
                request.grammar.matcher.mask_ahead(rows[:len(real) + 1], real)


def _ahead(request: Request, accepted: tuple[int, ...]) -> Request:
    """The request as it will be if these drafts are right: so penalties and all that looks back see them."""
    if not accepted:
        return request
    later = copy(request)
    later.token_ids = request.token_ids + list(accepted)
    return later


def _accepted(rows: list[Sampled], drafts: tuple[int, ...]) -> Sampled:
    """One `Sampled` of the rows of a request, of which each holds if all before it were as drafted."""
    num_right = sum(1 for _ in takewhile(lambda pair: pair[0].token_ids == [pair[1]], zip(rows, drafts)))
    said = rows[:num_right + 1]
    if said[-1].error:
        return said[-1]
    return Sampled([token_id for row in said for token_id in row.token_ids],
                   [ranked for row in said for ranked in row.logprobs] if said[0].logprobs is not None else None, said[0].prompt_logprobs)
