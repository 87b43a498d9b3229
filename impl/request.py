"""One request, from arrival to its last token."""
import enum
import time
from collections.abc import Sequence

from impl.block_hash import extend_hash_chain
from impl.sampling_params import SamplingParams
from impl.structured_output import Grammar


class RequestStatus(enum.Enum):
    """Mirrors `v1/request.py::RequestStatus`."""

    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTED = "preempted"
    FINISHED_STOPPED = "stop"
    FINISHED_LENGTH_CAPPED = "length"
    FINISHED_ABORTED = "abort"
    FINISHED_ERROR = "error"


class Request:
    """A prompt and what has been generated from it so far.

    There is no prefill phase and no decode phase: a request has `num_tokens`
    tokens, of which `num_computed_tokens` have their keys and values in the
    cache, and every step the second number tries to catch up with the first.

    Mirrors `v1/request.py::Request`.
    """

    __slots__ = ("request_id", "prompt_token_ids", "sampling_params", "priority", "arrival_time", "cache_salt",
                 "status", "token_ids", "num_prompt_tokens", "num_computed_tokens", "max_tokens", "stop_reason",
                 "block_hashes", "num_preemptions", "num_output_placeholders", "num_in_flight_tokens", "spec_token_ids", "is_prefill_chunk", "grammar")

    def __init__(self, request_id: str, prompt_token_ids: Sequence[int], sampling_params: SamplingParams = SamplingParams(),
                 *, priority: int = 0, arrival_time: float | None = None, cache_salt: str | None = None,
                 grammar: Grammar | None = None):
        self.request_id = request_id
        self.prompt_token_ids = tuple(prompt_token_ids)
        self.sampling_params = sampling_params
        self.priority = priority                  # smaller is served first
        self.arrival_time = time.time() if arrival_time is None else arrival_time
        self.cache_salt = cache_salt
        self.grammar = grammar                    # what its output has to follow

        self.status = RequestStatus.WAITING
        self.token_ids = list(prompt_token_ids)   # the prompt, then the output
        self.num_prompt_tokens = len(self.token_ids)
        self.num_computed_tokens = 0
        self.max_tokens = sampling_params.max_tokens
        self.stop_reason: int | None = None       # the stop token that ended it
        self.block_hashes: list[bytes] = []       # one per full block
        self.num_preemptions = 0
        self.num_output_placeholders = 0          # tokens that steps in flight will sample (AsyncScheduler)
        self.num_in_flight_tokens = 0             # tokens that steps in flight compute (AsyncScheduler)
        self.spec_token_ids: tuple[int, ...] = () # drafts for the next step
        self.is_prefill_chunk = False             # its last step left tokens of its own to compute

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def num_output_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    def extend_block_hashes(self, block_size: int) -> None:
        """Hash every block that has become full since the last call."""
        extend_hash_chain(self.block_hashes, self.token_ids, block_size, self.cache_salt)

    def check_stop(self, max_model_len: int) -> bool:
        """Whether the token just appended ends the request; sets `status` and `stop_reason`.

        `min_tokens` is not asked here: until it is reached, the sampler masks
        the tokens that could stop the request, so none arrives.

        Mirrors `v1/core/sched/utils.py::check_stop`.
        """
        params, token_id, num_tokens = self.sampling_params, self.token_ids[-1], len(self.token_ids)
        if token_id == params.eos_token_id and not params.ignore_eos:
            self.status = RequestStatus.FINISHED_STOPPED
        elif token_id in params.stop_token_ids:
            self.status = RequestStatus.FINISHED_STOPPED
            self.stop_reason = token_id
        elif num_tokens >= max_model_len or num_tokens - self.num_prompt_tokens >= self.max_tokens:
            self.status = RequestStatus.FINISHED_LENGTH_CAPPED
        else:
            return False
        return True
