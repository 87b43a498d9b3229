"""The sampler: from logits to one token per request.

First what changes which token is best, then, for who is not greedy, what thins out
the rest, then chance: see `logits_processors.py`. Whatever nobody asks for costs
nothing, and the rest is done for all requests at once. Mirrors `v1/sample/sampler.py::Sampler`.
"""
from dataclasses import dataclass

import torch

from impl import gumbel
from impl.logits_processors import penalize, reshapes, restrict, thin_out
from impl.logprobs import LogprobsMode, PromptLogprobs, Ranked, rank, scores
from impl.request import Request
from impl.sampling_params import SamplingParams

BROKEN = "NonFiniteLogitsError: no token can be chosen: the model computed NaN or infinity, or everything is forbidden"


@dataclass(slots=True)
class Sampled:
    """What a step found for one request: one token, or with drafts several. `error`: why there is none."""

    token_ids: list[int]
    logprobs: list[Ranked] | None = None            # by token
    prompt_logprobs: list[Ranked] | None = None     # with the first token
    error: str | None = None


class Sampler:
    """`seed`: for the requests that have none, so that the same program says the same again. On a GPU: `triton_sampler.py`."""

    def __init__(self, logprobs_mode: LogprobsMode = "raw_logprobs", seed: int = 0):
        self.logprobs_mode = logprobs_mode
        self.chance = torch.Generator().manual_seed(seed)
        self.prompt_logprobs = PromptLogprobs(logprobs_mode)
        self.generators: dict[str, torch.Generator] = {}    # by request: a seed is nobody else's

    def __call__(self, logits: torch.Tensor, requests: list[Request]) -> dict[str, Sampled]:
        """Sample one token for each row of `logits` [requests, vocabulary]."""
        return {request.request_id: new for request, new in zip(requests, self.sample(logits, requests))}

    def sample(self, logits: torch.Tensor, requests: list[Request]) -> list[Sampled]:
        """The same, row by row: a request that knows its next tokens already may have several."""
        processed = self._process(logits, requests)
        best, token_ids = self._best(processed)
        token_ids = token_ids.tolist()
        broken = {index for index, finite in enumerate(best.isfinite().tolist()) if not finite}
        random = [index for index, request in enumerate(requests) if request.sampling_params.temperature and index not in broken]
        if random:
            chosen = [requests[index] for index in random]
            thinned = self._thin_out(processed[random], [request.sampling_params for request in chosen])
            for index, token_id in zip(random, self._draw(thinned, chosen)):
                token_ids[index] = token_id
            if self.logprobs_mode.startswith("processed") and any(request.sampling_params.logprobs is not None for request in chosen):
                processed = processed.index_copy(0, torch.tensor(random, device=processed.device), thinned)
        logprobs = self._logprobs(logits if self.logprobs_mode.startswith("raw") else processed, token_ids, requests)
        return [Sampled([], error=BROKEN) if index in broken else
                Sampled([token_ids[index]], [logprobs[index]] if index in logprobs else None, self.prompt_logprobs.pop(request))
                for index, request in enumerate(requests)]

    def forget(self, request_ids: list[str]) -> None:
        """Drop what was kept for requests that have finished."""
        for request_id in request_ids:
            self.generators.pop(request_id, None)
            self.prompt_logprobs.forget(request_id)

    def _process(self, logits: torch.Tensor, requests: list[Request]) -> torch.Tensor:
        """Logits in float32, changed for those who ask for it."""
        rows = [index for index, request in enumerate(requests) if reshapes(request.sampling_params)]
        processed = logits.to(torch.float32, copy=bool(rows))
        for index in rows:
            restrict(processed[index], requests[index])
            penalize(processed[index], requests[index])
        return processed

    def _best(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The highest logit of each row, which is NaN if one is, and its token."""
        return logits.max(-1)

    def _thin_out(self, logits: torch.Tensor, all_params: list[SamplingParams]) -> torch.Tensor:
        return thin_out(logits, all_params)

    def _draw(self, logits: torch.Tensor, requests: list[Request]) -> list[int]:
        """A token for each row, by chance: each as often as it is probable. A seed decides alone, and as in vLLM on a CPU."""
        token_ids = self._spin(logits).tolist()
        seeded = [index for index, request in enumerate(requests) if request.sampling_params.seed is not None]
        if seeded:
            seeds = torch.cat([torch.randint(0, 2**31, (1,), generator=self._generator(requests[index])) for index in seeded])
            for index, token_id in zip(seeded, gumbel.draw(logits[seeded], seeds.to(logits.device)).tolist()):
                token_ids[index] = token_id
        return token_ids

    def _spin(self, logits: torch.Tensor) -> torch.Tensor:
        """Where a random number in (0, 1] falls, if each token has a share of (0, 1] as large as its probability."""
        shares = logits.softmax(-1, dtype=torch.float64).cumsum(-1)     # a float32 sum would lose the improbable tokens
        where = 1 - torch.rand(len(logits), 1, dtype=torch.float64, generator=self.chance)
        return torch.searchsorted(shares, where.to(logits.device) * shares[:, -1:])[:, 0]

    def remember(self, request: Request) -> torch.Tensor | None:
        """Where the chance of a request stands that has a seed of its own; see `draw_again`."""
        return self._generator(request).get_state() if request.sampling_params.seed is not None else None

    def draw_again(self, request: Request, state: torch.Tensor | None, num_tokens: int) -> None:
        """Forget what was drawn since but the first `num_tokens`: a seed says with drafts what it says without."""
        if state is not None:
            torch.randint(0, 2**31, (num_tokens,), generator=self._generator(request).set_state(state))

    def _generator(self, request: Request) -> torch.Generator:
        if request.request_id not in self.generators:
            self.generators[request.request_id] = torch.Generator().manual_seed(request.sampling_params.seed)
        return self.generators[request.request_id]

    def _logprobs(self, logits: torch.Tensor, token_ids: list[int], requests: list[Request]) -> dict[int, Ranked]:
        """By row, for those who ask. Rows that ask for equally many are ranked together."""
        by_count: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            if request.sampling_params.logprobs is not None:
                by_count.setdefault(request.sampling_params.logprobs, []).append(index)
        ranked: dict[int, Ranked] = {}
        for count, rows in by_count.items():
            ranked |= zip(rows, rank(scores(logits[rows], self.logprobs_mode), [token_ids[row] for row in rows], count))
        return ranked
