"""The sampler: from logits to one token per request.

The steps and their order are those of `v1/sample/sampler.py::Sampler`: first what
changes which token is best (allowed ids, bad words, `min_tokens`, bias, penalties),
then, for who is not greedy, what thins out the rest (temperature, min-p, top-k,
top-p), then chance.
"""
from dataclasses import dataclass

import torch

from impl.request import Request
from impl.sampling_params import SamplingParams

GREEDY = 1e-5   # a temperature below this is none


@dataclass(slots=True)
class Sampled:
    """What was sampled for one request. `logprobs`: by token id, the sampled one first, as (logprob, rank)."""

    token_ids: list[int]
    logprobs: dict[int, tuple[float, int]] | None = None


class Sampler:
    def __init__(self):
        self.generators: dict[str, torch.Generator] = {}    # by request: a seed is nobody else's

    def __call__(self, logits: torch.Tensor, requests: list[Request]) -> dict[str, Sampled]:
        """Sample one token for each row of `logits` [requests, vocabulary]."""
        raw = logits
        logits = logits.float().clone()
        for row, request in zip(logits, requests):
            restrict(row, request)
            penalize(row, request)
        greedy = logits.argmax(-1)
        token_ids = [int(greedy[index]) if request.sampling_params.temperature < GREEDY else self._draw(logits[index], request)
                     for index, request in enumerate(requests)]
        return {request.request_id: Sampled([token_id], top_logprobs(raw[index], token_id, request.sampling_params.logprobs))
                for index, (request, token_id) in enumerate(zip(requests, token_ids))}

    def forget(self, request_ids: list[str]) -> None:
        """Drop what was kept for requests that have finished."""
        for request_id in request_ids:
            self.generators.pop(request_id, None)

    def _draw(self, logits: torch.Tensor, request: Request) -> int:
        """The token whose probability, divided by exponential noise, is largest: each comes as often as it is probable."""
        probabilities = thin_out(logits, request.sampling_params).softmax(-1)
        noise = torch.empty_like(probabilities).exponential_(generator=self._generator(request, logits.device))
        return int((probabilities / noise).argmax())

    def _generator(self, request: Request, device: torch.device) -> torch.Generator | None:
        seed = request.sampling_params.seed
        if seed is None:
            return None
        if request.request_id not in self.generators:
            self.generators[request.request_id] = torch.Generator(device).manual_seed(seed)
        return self.generators[request.request_id]


def restrict(logits: torch.Tensor, request: Request) -> None:
    """Forbid, in place, the tokens that must not come; move those that shall come more or less often."""
    params, output = request.sampling_params, request.token_ids[request.num_prompt_tokens:]
    if params.allowed_token_ids is not None:
        allowed = logits[list(params.allowed_token_ids)]
        logits.fill_(float("-inf"))
        logits[list(params.allowed_token_ids)] = allowed
    for *beginning, last in params.bad_words_token_ids:
        if not beginning or output[-len(beginning):] == beginning:
            logits[last] = float("-inf")
    if len(output) < params.min_tokens:
        logits[list(params.all_stop_token_ids)] = float("-inf")
    for token_id, bias in params.logit_bias.items():
        logits[token_id] += bias


def penalize(logits: torch.Tensor, request: Request) -> None:
    """Make, in place, less likely what was said before. Repetition counts the prompt too, the other two the output alone."""
    params, output = request.sampling_params, request.token_ids[request.num_prompt_tokens:]
    if params.repetition_penalty != 1.0:
        seen = torch.tensor(sorted(set(request.token_ids)), device=logits.device)
        logits[seen] = torch.where(logits[seen] > 0, logits[seen] / params.repetition_penalty, logits[seen] * params.repetition_penalty)
    if output and (params.frequency_penalty or params.presence_penalty):
        token_ids, counts = torch.tensor(output, device=logits.device).unique(return_counts=True)
        logits[token_ids] -= params.frequency_penalty * counts + params.presence_penalty


def thin_out(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """Logits [vocabulary] with -inf for what temperature, min-p, top-k and top-p leave out, in this order."""
    logits = logits / params.temperature
    if params.min_p:
        probabilities = logits.softmax(-1)
        logits = logits.masked_fill(probabilities < params.min_p * probabilities.max(), float("-inf"))
    if params.top_k:
        smallest = logits.topk(min(params.top_k, len(logits))).values[-1]
        logits = logits.masked_fill(logits < smallest, float("-inf"))
    if params.top_p < 1.0:
        ascending, order = logits.sort()
        left_out = ascending.softmax(-1).cumsum(-1) <= 1 - params.top_p     # the smallest, as long as they do not add up to more
        left_out[-1] = False
        logits = logits.masked_fill(torch.zeros_like(left_out).scatter(0, order, left_out), float("-inf"))
    return logits


def top_logprobs(logits: torch.Tensor, token_id: int, count: int | None) -> dict[int, tuple[float, int]] | None:
    """(logprob, rank) of `token_id` and of the `count` most likely tokens, from the model's own logits [vocabulary].

    Neither penalties nor temperature show: they change what is sampled, not what
    the model thinks. `count` -1: the whole vocabulary. None: nothing.
    """
    if count is None:
        return None
    logprobs = logits.float().log_softmax(-1)
    best = logprobs.topk(len(logprobs) if count == -1 else count)
    ranked = {token_id: (float(logprobs[token_id]), int((logprobs >= logprobs[token_id]).sum()))}
    for rank, (value, token) in enumerate(zip(best.values.tolist(), best.indices.tolist()), 1):
        ranked.setdefault(token, (value, rank))
    return ranked
