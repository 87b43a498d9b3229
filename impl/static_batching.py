"""Static batching: how requests were served before Orca and vLLM, behind the doors of `impl` (`--impl=impl.static_batching`).

A batch is formed of those who wait. One step computes all its prompts, each further
step one token for each of its requests, until the last of them has ended. Nobody
joins meanwhile, and who has ended early keeps seat and memory. The memory is one
contiguous slab per request, for all it may ever say, as attention kernels wanted it.

FasterTransformer's servers worked so. Orca (OSDI 2022) called it request-level
scheduling and let requests come and go between steps, which is now called continuous
batching: `impl/naive.py`. vLLM (SOSP 2023) replaced the slab by blocks on demand.

Two things are kinder here than they were: no step computes padding for short prompts
and ended requests, and a request hears of its end at once, not when its batch has ended.
"""
from impl.errors import (DuplicateRequestError, EmptyPromptError, InvalidConfigError, PoolTooSmallError, PromptTooLongError,
                         UnknownRequestError)
from impl.outputs import NEW, RUNNING, EngineCoreOutput, ScheduledRequest, SchedulerOutput
from impl.request import RequestStatus


class Slabs:
    """The pool, cut from its beginning into the slabs of one batch."""

    def __init__(self, num_blocks):
        self.blocks = tuple(range(1, num_blocks))
        self.num_reserved = 0

    @property
    def free_blocks(self):
        return self.blocks[self.num_reserved:]

    def reserve(self, num_blocks):
        slab = self.free_blocks[:num_blocks]
        self.num_reserved += num_blocks
        return slab

    def release_all(self):
        self.num_reserved = 0


class Scheduler:
    """Raises `InvalidConfigError` under the priority policy: a batch is formed in the order of arrival."""

    def __init__(self, config):
        if config.policy != "fcfs":
            raise InvalidConfigError(f"policy={config.policy!r}: static batching knows no urgency; choose 'fcfs'")
        self.config = config
        self.seats = config.max_num_active_seqs or config.max_num_seqs
        self.block_manager = Slabs(config.num_blocks)
        self.waiting, self.running, self.finished = [], [], []

    def add_request(self, request):
        """Queue a request.

        Raises `EmptyPromptError`, `PromptTooLongError`, `PoolTooSmallError` or
        `DuplicateRequestError` if it could never be served; nothing has changed then.
        """
        name, num_tokens = f"request {request.request_id!r}", request.num_prompt_tokens
        longest = min(self.config.max_model_len - 1, self.config.max_num_batched_tokens)
        if num_tokens == 0:
            raise EmptyPromptError(f"{name}: the prompt is empty; give it at least one token")
        if num_tokens > longest:
            raise PromptTooLongError(f"{name}: its prompt of {num_tokens} tokens is computed in one step and needs room for one more; "
                                     f"shorten it to {longest}, or raise max_model_len or max_num_batched_tokens")
        if any(other.request_id == request.request_id for other in self.waiting + self.running):
            raise DuplicateRequestError(f"{name} is already here; choose another id or wait until it has finished")
        max_tokens = request.max_tokens or self.config.max_model_len
        needed, usable = self._slab(num_tokens + max_tokens), len(self.block_manager.blocks)
        if needed > usable:
            raise PoolTooSmallError(f"{name}: its slab has {needed} blocks, the pool {usable}; lower max_tokens or raise num_blocks")
        request.max_tokens = max_tokens
        self.waiting.append(request)

    def abort(self, request_id=None):
        """End a request from outside; None: all. Raises `UnknownRequestError`."""
        found = [request for request in self.running + self.waiting if request_id in (None, request.request_id)]
        if request_id is not None and not found:
            raise UnknownRequestError(f"no request {request_id!r}: it has finished or never came")
        for request in found:
            request.status = RequestStatus.FINISHED_ABORTED
            self._finish(request)

    def schedule(self):
        scheduled = self._next_tokens() if self.running else self._form_batch()
        finished, self.finished = self.finished, []
        return SchedulerOutput(scheduled, [], finished)

    def update_from_output(self, output, sampled):
        outputs = []
        for request in [request for request in self.running if request.request_id in sampled]:
            request.token_ids += sampled[request.request_id]
            stopped = request.check_stop(self.config.max_model_len)
            outputs.append(EngineCoreOutput(request.request_id, tuple(sampled[request.request_id]),
                                            request.status.value if stopped else None, request.stop_reason))
            if stopped:
                self._finish(request)
        return outputs

    def _next_tokens(self):
        return [ScheduledRequest(request.request_id, RUNNING, 1, request.num_tokens - 1, ()) for request in self.running]

    def _form_batch(self):
        scheduled, budget = [], self.config.max_num_batched_tokens
        while self.waiting and len(self.running) < self.seats:
            request = self.waiting[0]
            num_blocks = self._slab(request.num_tokens + request.max_tokens)
            if request.num_tokens > budget or num_blocks > len(self.block_manager.free_blocks):
                break
            budget -= request.num_tokens
            request.status = RequestStatus.RUNNING
            self.running.append(self.waiting.pop(0))
            slab = self.block_manager.reserve(num_blocks)
            scheduled.append(ScheduledRequest(request.request_id, NEW, request.num_tokens, 0, slab))
        return scheduled

    def _slab(self, num_tokens):
        """Blocks for a sequence that may grow to `num_tokens`."""
        return -(-min(num_tokens, self.config.max_model_len) // self.config.block_size)

    def _finish(self, request):
        """Take a request out of its queue; its slab is given back with the batch."""
        (self.running if request in self.running else self.waiting).remove(request)
        self.finished.append(request.request_id)
        if not self.running:
            self.block_manager.release_all()
