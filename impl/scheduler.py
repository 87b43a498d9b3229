"""The scheduler: whose tokens are computed in the next step."""
import enum
from collections.abc import Mapping, Sequence

from impl.admission import Admission
from impl.block_manager import BlockManager, NotEnoughBlocks
from impl.block_pool import Block
from impl.config import SchedulerConfig
from impl.errors import (DuplicateRequestError, EmptyPromptError, InvalidSamplingParamsError, PromptTooLongError,
                         UnknownRequestError)
from impl.hybrid_block_manager import HybridBlockManager
from impl.outputs import RUNNING, EngineCoreOutput, SchedulerOutput
from impl.request import Request, RequestStatus
from impl.request_queue import FCFSQueue, PriorityQueue
from impl.speculation import Speculation
from impl.step import Step


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
        self.block_manager = BlockManager(config) if config.sliding_window is None else HybridBlockManager(config)
        self.speculation = Speculation(config)
        self.requests: dict[str, Request] = {}
        self.waiting = PriorityQueue() if config.policy == "priority" else FCFSQueue()
        self.running: list[Request] = []
        self.admission = Admission(config, self.waiting, self.block_manager, self.speculation)
        self.pause_state = PauseState.UNPAUSED
        self.finished_req_ids: list[str] = []       # since the last step
        self.preempted_req_ids: list[str] = []      # since the last step

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
        step = Step(self.config, len(self.running) + len(self.waiting))
        if self.pause_state is PauseState.PAUSED_ALL:
            step.note("", "nothing is scheduled: paused")
        else:
            self._schedule_running(step)
            self.admission.admit(step, self.running, is_paused=self.pause_state is PauseState.PAUSED_NEW)
        output = SchedulerOutput(list(step.scheduled.values()), self.preempted_req_ids, self.finished_req_ids, step.reasons)
        self.preempted_req_ids, self.finished_req_ids = [], []
        return output

    def update_from_output(self, output: SchedulerOutput, sampled: Mapping[str, Sequence[int]]) -> list[EngineCoreOutput]:
        """Take in the tokens which the model sampled for `output`, by request id.

        A request whose prompt is not yet computed to its end has sampled nothing.
        What was sampled for a request that was aborted or reset meanwhile is dropped.
        """
        outputs, anybody_stopped = [], False
        for scheduled in output.scheduled:
            request_id = scheduled.request_id
            request, token_ids = self.requests.get(request_id), sampled.get(request_id)
            if not token_ids or request is None or not self._takes_output(request):
                continue
            if scheduled.spec_token_ids:
                self.speculation.verify(request, scheduled.spec_token_ids, len(token_ids))
            new_token_ids, has_stopped = self._append_output(request, token_ids)
            finish_reason = None
            if has_stopped:
                anybody_stopped, finish_reason = True, request.status.value
                self._finish(request)
            outputs.append(EngineCoreOutput(request_id, new_token_ids, finish_reason, request.stop_reason))
        if anybody_stopped:
            self.running = [request for request in self.running if request.status is RequestStatus.RUNNING]
        return outputs + self._end_failed_grammars()

    def update_draft_token_ids(self, drafts: Mapping[str, Sequence[int]]) -> None:
        """Take in what was proposed for the next step, by request id. Before its prompt is computed, a request takes none."""
        for request_id, token_ids in drafts.items():
            request = self.requests.get(request_id)
            if request is not None:
                request.spec_token_ids = () if request.is_prefill_chunk else tuple(token_ids)

    # Parts of taking in what was sampled

    def _takes_output(self, request: Request) -> bool:
        """Whether what was sampled for it still counts: a reset takes it back."""
        return request.status is RequestStatus.RUNNING

    def _append_output(self, request: Request, token_ids: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """Append what was sampled, as far as the first token that ends the request; returns that part, and whether it has ended."""
        num_tokens, has_stopped = len(request.token_ids), False
        for token_id in token_ids:
            request.token_ids.append(token_id)
            has_stopped = request.check_stop(self.config.max_model_len)
            if has_stopped:
                break
        new_token_ids = tuple(request.token_ids[num_tokens:])
        if request.grammar and not request.grammar.matcher.accept(new_token_ids):
            request.status, has_stopped = RequestStatus.FINISHED_ERROR, True
        return new_token_ids, has_stopped

    def _end_failed_grammars(self) -> list[EngineCoreOutput]:
        seen, self.admission.failed = dict.fromkeys(self.admission.failed), []      # each once: a step in flight may have seen it too
        ended = [request for request in seen if self.requests.get(request.request_id) is request]      # nobody has aborted it meanwhile
        for request in ended:
            self.waiting.remove(request)
            request.status = RequestStatus.FINISHED_ERROR
            self._finish(request)
        return [EngineCoreOutput(request.request_id, (), request.status.value) for request in ended]

    # Parts of a step

    def _schedule_running(self, step: Step) -> None:
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
            if request.is_prefill_chunk:
                step.has_prefill = True
            drafts = self.speculation.take_drafts(request, num_new_tokens) if request.spec_token_ids else ()
            step.take(request, RUNNING, num_new_tokens, self.block_manager.ids(new_blocks) if new_blocks else (), drafts)
            index += 1
        self._note_left_out(step, "the token budget is used up")

    def _num_missing_tokens(self, request: Request) -> int:
        """How many tokens of a running request no step has been given yet."""
        if request.spec_token_ids:
            return self.speculation.num_missing_tokens(request)
        return len(request.token_ids) - request.num_computed_tokens

    def _allocate_or_preempt(self, request: Request, num_new_tokens: int, step: Step) -> list[Block] | None:
        """Blocks for a running request, at the cost of others if need be; None if it had to go itself."""
        while True:
            new_blocks = self.block_manager.allocate_slots(request, num_new_tokens)
            if not isinstance(new_blocks, NotEnoughBlocks):
                return new_blocks
            victim = self._choose_victim()
            step.note(victim.request_id, "preempted: {} {}", request.request_id, new_blocks)
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

    def _note_left_out(self, step: Step, why: str) -> None:
        if len(step.scheduled) < len(self.running):
            for request in self.running:
                if request.request_id not in step.scheduled and self._num_missing_tokens(request):
                    step.note(request.request_id, "gets no tokens: {}", why)

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
