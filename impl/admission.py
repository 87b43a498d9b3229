"""Admission: who of those that wait starts in a step."""
from impl.block_manager import BlockManager
from impl.config import SchedulerConfig
from impl.outputs import NEW, RESUMED
from impl.request import Request, RequestStatus
from impl.request_queue import FCFSQueue, PriorityQueue
from impl.speculation import Speculation
from impl.step import Step


class Admission:
    """Waiting requests start in the order of their queue, until one does not fit: nobody overtakes it.

    Only who cannot start whatever room there is, because its grammar is not compiled,
    is passed over. It keeps its place.

    Mirrors the second half of `v1/core/sched/scheduler.py::Scheduler.schedule`.
    """

    def __init__(self, config: SchedulerConfig, waiting: FCFSQueue | PriorityQueue, block_manager: BlockManager, speculation: Speculation):
        self.config = config
        self.waiting = waiting
        self.block_manager = block_manager
        self.speculation = speculation
        self.max_active = config.max_num_active_seqs or config.max_num_seqs
        self.failed: list[Request] = []     # passed over in this step, as their grammars have an error: they end with it

    def admit(self, step: Step, running: list[Request], is_paused: bool) -> None:
        """Start whom there is room for. They join `running`, behind those whom the step has served already."""
        passed_over: list[Request] = []
        beside_others = bool(step.scheduled)
        while self.waiting:
            request = self.waiting.peek()
            closed = self._why_closed(step, len(running), is_paused)
            if not closed and request.grammar and not request.grammar.is_ready:
                passed_over.append(self._pass_over(step))
                continue
            why_not = closed or self._start(request, step, running, beside_others)
            if why_not:
                step.note(request.request_id, "not admitted: {}", why_not)
                break
        for request in reversed(passed_over):
            self.waiting.put_back(request)

    def _why_closed(self, step: Step, num_running: int, is_paused: bool) -> str | None:
        """Why nobody can start now, whoever it is."""
        if step.preempted:
            return "this step had to preempt"
        if step.token_budget == 0:
            return "the token budget is used up"
        if is_paused:
            return "admission is paused"
        if num_running >= self.max_active:
            return f"{num_running} of {self.max_active} seats are taken"
        return None

    def _pass_over(self, step: Step) -> Request:
        request = self.waiting.pop()
        if request.grammar.error:
            self.failed.append(request)
        step.note(request.request_id, "not admitted: its grammar {}", "has an error" if request.grammar.error else "is not compiled yet")
        return request

    def _start(self, request: Request, step: Step, running: list[Request], beside_others: bool) -> str | None:
        """Start the first in the queue; or, with nothing changed, why there is no room for it."""
        computed_blocks = self.block_manager.get_computed_blocks(request)
        num_computed_tokens = len(computed_blocks) * self.config.block_size
        num_missing_tokens = request.num_tokens - num_computed_tokens
        placeholders = self._placeholders(num_missing_tokens, num_computed_tokens, step, beside_others)
        num_missing_tokens += len(placeholders)
        if placeholders and num_missing_tokens > step.token_budget:
            return f"needs {num_missing_tokens} tokens with its placeholders for drafts, {step.token_budget} left"
        if not self.config.enable_chunked_prefill and step.capped(num_missing_tokens) > step.token_budget:
            return f"needs {step.capped(num_missing_tokens)} tokens in one step, {step.token_budget} left"
        num_new_tokens = step.share(request, num_missing_tokens)
        refusal = self.block_manager.admit(request, computed_blocks, num_new_tokens, keep_watermark=len(running) > 0,
                                           reserve_full_prompt=self.config.scheduler_reserve_full_isl)
        if refusal:
            return str(refusal)

        self.block_manager.record_stats(request, num_computed_tokens)
        running.append(self.waiting.pop())
        kind = RESUMED if request.status is RequestStatus.PREEMPTED else NEW
        request.status = RequestStatus.RUNNING
        request.num_computed_tokens = num_computed_tokens
        step.take(request, kind, num_new_tokens, self.block_manager.block_ids(request.request_id), placeholders)
        step.note(request.request_id, "admitted: {} of its {} tokens are cached", num_computed_tokens, request.num_tokens)
        return None

    def _placeholders(self, num_missing_tokens: int, num_computed_tokens: int, step: Step, beside_others: bool) -> tuple[int, ...]:
        """Placeholders for drafts, unless a running prompt makes the step uneven anyway, or a cap would cut them."""
        if num_missing_tokens != 1 or step.has_prefill:
            return ()
        placeholders = self.speculation.placeholders(num_computed_tokens, beside_decodes=beside_others)
        return placeholders if step.capped(1 + len(placeholders)) == 1 + len(placeholders) else ()
