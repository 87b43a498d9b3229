"""The scheduler: whose tokens are computed in the next step."""
import enum
from collections.abc import Iterable, Mapping, Sequence

from impl.block_manager import BlockManager, NotEnoughBlocks
from impl.block_pool import Block
from impl.config import SchedulerConfig
from impl.errors import (DuplicateRequestError, EmptyPromptError, InvalidSamplingParamsError, PromptTooLongError,
                         UnknownRequestError)
from impl.hybrid_block_manager import HybridBlockManager
from impl.outputs import NEW, RESUMED, RUNNING, Reason, EngineCoreOutput, ScheduledRequest, SchedulerOutput
from impl.request import Request, RequestStatus
from impl.request_queue import FCFSQueue, PriorityQueue
from impl.speculation import Speculation


class PauseState(enum.Enum):
    """Mirrors `v1/core/sched/interface.py::PauseState`."""

    UNPAUSED = "unpaused"
    PAUSED_NEW = "new"      # admit nobody; who runs goes on
    PAUSED_ALL = "all"      # schedule nothing


class Scheduler:
    """Decides, step by step, which requests compute how many tokens on which blocks.

    A step has three parts, in this order: every running request gets tokens, at
    the cost of preempting others if blocks run out; then, if nobody had to be
    preempted, waiting requests are admitted; then the model runs, and
    `update_from_output` takes in what it sampled.

    Mirrors `v1/core/sched/scheduler.py::Scheduler`.
    """

    def __init__(self, config: SchedulerConfig):
        self.config = config
        self.block_manager = BlockManager(config.num_blocks, config.block_size, config.enable_prefix_caching,
                                          config.watermark) if config.sliding_window is None else HybridBlockManager(config)
        self.speculation = Speculation(config)
        self.max_active = config.max_num_active_seqs or config.max_num_seqs
        self.requests: dict[str, Request] = {}
        self.waiting = PriorityQueue() if config.policy == "priority" else FCFSQueue()
        self.running: list[Request] = []
        self.pause_state = PauseState.UNPAUSED
        self.finished_req_ids: list[str] = []       # since the last step
        self.preempted_req_ids: list[str] = []      # since the last step
        self.failed_grammars: list[Request] = []    # seen in this step: they end with it

    # Doors

    def add_request(self, request: Request) -> None:
        """Queue a request.

        Raises `EmptyPromptError`, `PromptTooLongError`, `DuplicateRequestError` or
        `InvalidSamplingParamsError`; nothing has changed then.
        """
        room = self.config.max_model_len - request.num_prompt_tokens
        if request.num_prompt_tokens == 0:
            raise EmptyPromptError(f"request {request.request_id!r}: the prompt is empty; give it at least one token")
        if room < 1:
            raise PromptTooLongError(f"request {request.request_id!r}: a prompt of {request.num_prompt_tokens} tokens leaves "
                                     f"no room to generate; shorten it to {self.config.max_model_len - 1} tokens "
                                     f"or raise max_model_len={self.config.max_model_len}")
        if request.request_id in self.requests:
            raise DuplicateRequestError(f"request {request.request_id!r} is already here; choose another id "
                                        "or wait until it has finished")
        if request.max_tokens is None:
            if request.sampling_params.min_tokens > room:
                raise InvalidSamplingParamsError(f"request {request.request_id!r}: min_tokens={request.sampling_params.min_tokens} exceeds "
                                                 f"the {room} tokens that fit behind its prompt; lower it or raise max_model_len")
            request.max_tokens = room
        self._hash_full_blocks(request)
        self.requests[request.request_id] = request
        self.waiting.add(request)

    def abort(self, request_id: str | None = None) -> None:
        """End a request from outside; None: all. At any time, also between
        `schedule` and `update_from_output`.

        Raises `UnknownRequestError` if it is not (or no longer) here; nothing has
        changed then. Mirrors `Scheduler.finish_requests`.
        """
        if request_id is not None and request_id not in self.requests:
            raise UnknownRequestError(f"no request {request_id!r}: it has finished or never came")
        for request in list(self.requests.values()) if request_id is None else [self.requests[request_id]]:
            if request.status is RequestStatus.RUNNING:
                self.running.remove(request)
            else:
                self.waiting.remove(request)
            request.status = RequestStatus.FINISHED_ABORTED
            self._finish(request)

    def reset_prefix_cache(self, reset_running_requests: bool = False) -> bool:
        """Forget all cached blocks, as after a change of the weights.

        Returns False, with nothing changed, if a request holds blocks, unless
        `reset_running_requests`: then all running requests are preempted first,
        and lose what the step in flight computes for them.
        """
        if reset_running_requests:
            while self.running:     # the last first, so that the waiting queue has them in order
                self._preempt(self.running.pop())
        return self.block_manager.reset_prefix_cache()

    def set_pause_state(self, state: PauseState) -> None:
        self.pause_state = state

    def schedule(self) -> SchedulerOutput:
        """Decide the next step."""
        step = _Step(self.config.max_num_batched_tokens, self._long_prefill_cap())
        if self.pause_state is PauseState.PAUSED_ALL:
            step.note("", "nothing is scheduled: paused")
        else:
            self._schedule_running(step)
            self._schedule_waiting(step)
        output = SchedulerOutput(list(step.scheduled.values()), self.preempted_req_ids, self.finished_req_ids, step.reasons)
        self.preempted_req_ids, self.finished_req_ids = [], []
        return output

    def update_from_output(self, output: SchedulerOutput, sampled: Mapping[str, Iterable[int]]) -> list[EngineCoreOutput]:
        """Take in the tokens which the model sampled for `output`, by request id.

        A request whose prompt is not yet computed to its end has sampled nothing.
        What was sampled for a request that was aborted or reset meanwhile is dropped.
        """
        outputs, stopped = [], []
        for scheduled in output.scheduled:
            request = self.requests.get(scheduled.request_id)
            if request is None or not self._takes_output(request):
                continue
            sampled_token_ids = tuple(sampled.get(scheduled.request_id, ()))
            self.speculation.verify(request, scheduled.spec_token_ids, len(sampled_token_ids))
            new_token_ids, has_stopped = self._append_output(request, sampled_token_ids)
            if not new_token_ids:
                continue
            finish_reason = None
            if has_stopped:
                finish_reason = request.status.value
                stopped.append(request)
                self._finish(request)
            outputs.append(EngineCoreOutput(request.request_id, tuple(new_token_ids), finish_reason, request.stop_reason))
        if stopped:
            self.running = [request for request in self.running if request.status is RequestStatus.RUNNING]
        return outputs + self._end_failed_grammars()

    def _end_failed_grammars(self) -> list[EngineCoreOutput]:
        failed, self.failed_grammars = self.failed_grammars, []
        ended = [request for request in failed if request.request_id in self.requests]      # nobody has aborted it meanwhile
        for request in ended:
            self.waiting.remove(request)
            request.status = RequestStatus.FINISHED_ERROR
            self._finish(request)
        return [EngineCoreOutput(request.request_id, (), request.status.value) for request in ended]

    # Parts of taking in what was sampled

    def _takes_output(self, request: Request) -> bool:
        """Whether what was sampled for it still counts: a reset takes it back."""
        return request.status is RequestStatus.RUNNING

    def _append_output(self, request: Request, token_ids: Iterable[int]) -> tuple[list[int], bool]:
        """Append what was sampled, as far as the first token that ends the request; returns that part, and whether it has ended."""
        new_token_ids, has_stopped = [], False
        for token_id in token_ids:
            request.token_ids.append(token_id)
            new_token_ids.append(token_id)
            has_stopped = request.check_stop(self.config.max_model_len)
            if has_stopped:
                break
        self._hash_full_blocks(request)
        if new_token_ids and request.grammar and not request.grammar.matcher.accept(new_token_ids):
            request.status, has_stopped = RequestStatus.FINISHED_ERROR, True
        return new_token_ids, has_stopped

    def update_draft_token_ids(self, drafts: Mapping[str, Sequence[int]]) -> None:
        """Take in what was proposed for the next step, by request id. Before its prompt is computed, a request takes none."""
        for request_id, token_ids in drafts.items():
            request = self.requests.get(request_id)
            if request is not None:
                request.spec_token_ids = () if request.is_prefill_chunk else tuple(token_ids)

    # Parts of a step

    def _schedule_running(self, step: "_Step") -> None:
        """Every running request catches up, in order, as far as budget and blocks go."""
        index = 0
        while index < len(self.running) and step.token_budget > 0:
            request = self.running[index]
            num_missing_tokens = self._num_missing_tokens(request)
            if num_missing_tokens == 0:     # only where the step before is still in flight
                step.note(request.request_id, "gets no tokens: the step in flight computes all it needs")
                index += 1
                continue
            num_new_tokens = step.share(request, num_missing_tokens)
            new_blocks = self._allocate_or_preempt(request, num_new_tokens, step)
            if new_blocks is None:      # it had to go itself, and the step ends with it
                return self._note_left_out(step, "no blocks are left")
            if step.preempted:          # a victim that stood before it has moved it
                index = self.running.index(request)
            step.num_prefills += request.is_prefill_chunk
            step.take(request, RUNNING, num_new_tokens, request.num_computed_tokens,
                      self.block_manager.ids(new_blocks) if new_blocks else (), self.speculation.take_drafts(request, num_new_tokens))
            index += 1
        self._note_left_out(step, "the token budget is used up")

    def _num_missing_tokens(self, request: Request) -> int:
        """How many tokens of a running request no step has been given yet."""
        return self.speculation.num_missing_tokens(request)

    def _allocate_or_preempt(self, request: Request, num_new_tokens: int, step: "_Step") -> list[Block] | None:
        """Blocks for a running request, at the cost of others if need be; None if it had to go itself."""
        num_lookahead = self.speculation.num_lookahead(request.num_computed_tokens + num_new_tokens)
        while True:
            new_blocks = self.block_manager.allocate_slots(request, num_new_tokens, num_lookahead)
            if not isinstance(new_blocks, NotEnoughBlocks):
                return new_blocks
            victim = self._choose_victim()
            step.note(victim.request_id, "preempted: {} needs {} blocks, {} free", request.request_id, *new_blocks[:2])
            step.give_back(victim)
            self.running.remove(victim)
            self._preempt(victim)
            if victim is request:
                return None

    def _choose_victim(self) -> Request:
        """Who has to go when blocks run out: the last admitted, or the least urgent."""
        if self.config.policy == "priority":
            return max(self.running, key=lambda request: (request.priority, request.arrival_time))
        return self.running[-1]

    def _note_left_out(self, step: "_Step", why: str) -> None:
        if len(step.scheduled) < len(self.running):
            for request in self.running:
                if request.request_id not in step.scheduled and self._num_missing_tokens(request):
                    step.note(request.request_id, "gets no tokens: {}", why)

    def _schedule_waiting(self, step: "_Step") -> None:
        """Admit waiting requests; who cannot start yet, whatever room there is, is passed over and keeps its place."""
        passed_over: list[Request] = []
        self._admit_in_order(step, passed_over)
        for request in reversed(passed_over):
            self.waiting.put_back(request)

    def _admit_in_order(self, step: "_Step", passed_over: list[Request]) -> None:
        """Until one does not fit: nobody overtakes it."""
        num_served = len(step.scheduled)
        while self.waiting:
            request = self.waiting.peek()
            num_running = len(self.running)
            if step.preempted:
                return step.note(request.request_id, "not admitted: this step had to preempt")
            if step.token_budget == 0:
                return step.note(request.request_id, "not admitted: the token budget is used up")
            if self.pause_state is PauseState.PAUSED_NEW:
                return step.note(request.request_id, "not admitted: admission is paused")
            if num_running >= self.max_active:
                return step.note(request.request_id, "not admitted: {} of {} seats are taken", num_running, self.max_active)
            if request.grammar and not request.grammar.is_ready:
                if request.grammar.error:
                    self.failed_grammars.append(request)
                step.note(request.request_id, "not admitted: its grammar {}", "has an error" if request.grammar.error else "is not compiled yet")
                passed_over.append(self.waiting.pop())
                continue

            computed_blocks = self.block_manager.get_computed_blocks(request)
            num_computed_tokens = len(computed_blocks) * self.config.block_size
            num_missing_tokens = request.num_tokens - num_computed_tokens
            placeholders = self._placeholders(num_missing_tokens, num_computed_tokens, num_served, step)
            if placeholders:
                num_missing_tokens += len(placeholders)
                if num_missing_tokens > step.token_budget:
                    return step.note(request.request_id, "not admitted: needs {} tokens with its placeholders for drafts, {} left",
                                     num_missing_tokens, step.token_budget)
            if not self.config.enable_chunked_prefill and step.capped(num_missing_tokens) > step.token_budget:
                return step.note(request.request_id, "not admitted: needs {} tokens in one step, {} left",
                                 step.capped(num_missing_tokens), step.token_budget)
            num_new_tokens = step.share(request, num_missing_tokens)
            refusal = self.block_manager.admit(
                request, computed_blocks, num_new_tokens,
                reserve_full_prompt=self.config.scheduler_reserve_full_isl,
                keep_watermark=num_running > 0,
                num_lookahead_tokens=self.speculation.num_lookahead(num_computed_tokens + num_new_tokens))
            if refusal:
                return step.note(request.request_id, "not admitted: needs {} blocks{}, {} free{}", refusal.needed,
                                 " for its whole prompt" if refusal.whole_prompt else "", refusal.free,
                                 f", {refusal.watermark} of them the watermark" if refusal.watermark else "")
            self._admit(self.waiting.pop(), num_computed_tokens, num_new_tokens, placeholders, step)

    def _placeholders(self, num_missing_tokens: int, num_computed_tokens: int, num_served: int, step: "_Step") -> tuple[int, ...]:
        """Placeholders for a request to be admitted, unless a running prompt makes the step uneven anyway, or a cap would cut them."""
        if num_missing_tokens != 1 or step.num_prefills:
            return ()
        placeholders = self.speculation.placeholders(num_computed_tokens, beside_decodes=num_served > 0)
        return placeholders if step.capped(1 + len(placeholders)) == 1 + len(placeholders) else ()

    def _admit(self, request: Request, num_computed_tokens: int, num_new_tokens: int, placeholders: tuple[int, ...],
               step: "_Step") -> None:
        self.block_manager.record_stats(request, num_computed_tokens)
        kind = RESUMED if request.status is RequestStatus.PREEMPTED else NEW
        request.status = RequestStatus.RUNNING
        request.num_computed_tokens = num_computed_tokens
        self.running.append(request)
        step.take(request, kind, num_new_tokens, num_computed_tokens, self.block_manager.block_ids(request.request_id), placeholders)
        step.note(request.request_id, "admitted: {} of its {} tokens are cached", num_computed_tokens, request.num_tokens)

    def _preempt(self, request: Request) -> None:
        """Take everything from a request but its tokens: it will be computed again."""
        self.block_manager.free(request)
        request.status = RequestStatus.PREEMPTED
        request.num_computed_tokens = 0
        request.num_preemptions += 1
        request.spec_token_ids = ()
        self.waiting.put_back(request)
        self.preempted_req_ids.append(request.request_id)

    def _finish(self, request: Request) -> None:
        self.block_manager.free(request)
        self.finished_req_ids.append(request.request_id)
        del self.requests[request.request_id]

    def _hash_full_blocks(self, request: Request) -> None:
        if self.config.enable_prefix_caching:
            request.extend_block_hashes(self.config.block_size)

    def _long_prefill_cap(self) -> int:
        """How many tokens one request may take of this step; 0: as many as there are.

        Alone, a request has nobody to starve, so nothing is capped.
        """
        num_requests = len(self.running) + len(self.waiting)
        cap = self.config.long_prefill_token_threshold if num_requests > 1 else 0
        if cap and self.config.long_prefill_token_threshold_adaptive:
            cap = max(cap, self.config.max_num_batched_tokens // num_requests)
        return cap


class _Step:
    """A decision in the making: the budget that is left and what has been given away."""

    __slots__ = ("token_budget", "long_prefill_cap", "scheduled", "num_prefills", "preempted", "reasons")

    def __init__(self, token_budget: int, long_prefill_cap: int):
        self.token_budget = token_budget
        self.long_prefill_cap = long_prefill_cap
        self.scheduled: dict[str, ScheduledRequest] = {}
        self.num_prefills = 0       # running requests that are not yet through with their tokens
        self.preempted = False
        self.reasons: list[Reason] = []

    def note(self, request_id: str, text: str, *values) -> None:
        self.reasons.append(Reason(request_id, text, values))

    def capped(self, num_tokens: int) -> int:
        """What a request may get of a step that has nobody else to serve."""
        return self.long_prefill_cap if 0 < self.long_prefill_cap < num_tokens else num_tokens

    def share(self, request: Request, num_tokens: int) -> int:
        """How many of the tokens it asks for a request gets."""
        capped = self.capped(num_tokens)
        share = min(capped, self.token_budget)
        if share < num_tokens:
            self.note(request.request_id, "is cut to {} of {} tokens: the {}", share, num_tokens,
                      "token budget" if share < capped else "long-prefill cap")
        return share

    def take(self, request: Request, kind: str, num_tokens: int, num_computed_tokens: int, new_block_ids: tuple[int, ...],
             spec_token_ids: tuple[int, ...]) -> None:
        self.token_budget -= num_tokens
        self.scheduled[request.request_id] = ScheduledRequest(
            request.request_id, kind, num_tokens, num_computed_tokens, new_block_ids, spec_token_ids)
        # Counted as computed from now on: the next step may be decided before this one has run.
        request.num_computed_tokens += num_tokens
        request.is_prefill_chunk = request.num_computed_tokens < request.num_tokens

    def give_back(self, request: Request) -> None:
        """Make a request a victim: under the priority policy it may have had its share already."""
        self.preempted = True
        taken = self.scheduled.pop(request.request_id, None)
        if taken:
            self.token_budget += taken.num_tokens
