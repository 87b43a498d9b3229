"""The n-gram proposer: a request will go on as it did after these words before."""
from collections.abc import Mapping, Sequence

from impl.outputs import ScheduledRequest
from impl.request import Request
from impl.speculative_config import SpeculativeConfig


class NgramProposer:
    """Drafts for those who were served in a step. Mirrors `v1/spec_decode/ngram_proposer.py::NgramProposer`."""

    def __init__(self, config: SpeculativeConfig, max_model_len: int):
        self.config, self.max_model_len = config, max_model_len

    def propose(self, served: Sequence[ScheduledRequest], requests: Mapping[str, Request]) -> dict[str, tuple[int, ...]]:
        """The drafts of each request that was served and has not ended, by its id; `requests`: those, with the tokens of this step.

        Where one of them is so long that drafts might not fit behind it, nobody's tokens are looked at, and all drafts are
        token 0. Mirrors `v1/worker/gpu_model_runner.py::GPUModelRunner._input_fits_in_drafter`.
        """
        longest = max((share.num_computed_tokens + share.num_tokens for share in served), default=0)
        fits = longest + self.config.num_speculative_tokens <= self.max_model_len
        here = [requests[share.request_id] for share in served if share.request_id in requests]
        return {request.request_id: _valid(request, self._drafts(request) if fits else (0,) * self.config.num_speculative_tokens) for request in here}

    def _drafts(self, request: Request) -> tuple[int, ...]:
        return propose(request.token_ids, self.config.prompt_lookup_min, self.config.prompt_lookup_max, self.config.num_speculative_tokens, self.max_model_len)


def _valid(request: Request, drafts: tuple[int, ...]) -> tuple[int, ...]:
    """As far as they keep to the request's grammar. Mirrors `v1/structured_output/__init__.py::StructuredOutputManager.validate_tokens`."""
    return request.grammar.matcher.validate(drafts) if request.grammar else drafts


def propose(token_ids: Sequence[int], min_n: int, max_n: int, num_speculative_tokens: int, max_model_len: int) -> tuple[int, ...]:
    """The drafts for a request that has said `token_ids` (its prompt included); often none.

    They are what followed the earliest occurrence of its last n tokens, for the
    largest n from `max_n` down to `min_n` that occurs before.

    Mirrors `v1/spec_decode/ngram_proposer.py::_find_longest_matched_ngram_and_propose_tokens`,
    which finds the same in one pass, as Knuth, Morris and Pratt search a text.
    """
    num_drafts = min(num_speculative_tokens, max_model_len - len(token_ids))
    for n in range(min(max_n, len(token_ids) - 1), min_n - 1, -1):
        start = _first_occurrence(token_ids, n)
        if start is not None and num_drafts > 0:
            return tuple(token_ids[start + n:start + n + num_drafts])
    return ()


def _first_occurrence(token_ids: Sequence[int], n: int) -> int | None:
    """Where the last `n` tokens occur first; None if only at the end."""
    last = token_ids[len(token_ids) - n:]
    start = token_ids.index(last[0])        # at the latest, where the last n begin
    while token_ids[start:start + n] != last:
        start = token_ids.index(last[0], start + 1)
    return start if start < len(token_ids) - n else None
