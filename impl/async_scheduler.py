"""Asynchronous scheduling: the next step is decided while the one before is still computed.

    the order of a plain engine:      schedule 0, update 0, schedule 1, update 1, schedule 2, ...
    with one step in flight:          schedule 0, schedule 1, update 0, schedule 2, update 1, ...

So the device need not wait for the scheduler. But a decision is taken without the
newest token of each request: a placeholder stands for it.
"""
from collections import deque
from collections.abc import Mapping, Sequence

from impl.config import SchedulerConfig
from impl.errors import StepsInFlightError
from impl.outputs import EngineCoreOutput, SchedulerOutput
from impl.request import Request, RequestStatus
from impl.scheduler import Scheduler


class AsyncScheduler(Scheduler):
    """A scheduler that counts on the tokens which the step in flight will sample.

    That a request will end by its length is known in advance, so it gets no further
    step. That it ends by a token is not: the step in flight has then computed one
    token in vain, and what it sampled is dropped.

    Mirrors `v1/core/sched/async_scheduler.py::AsyncScheduler` with one step in flight,
    as `v1/engine/core.py::EngineCore.step_with_batch_queue` keeps it on one device.
    """

    def __init__(self, config: SchedulerConfig):
        super().__init__(config)
        # For each step, the oldest first: who was served, and who of them awaits a token. Not ids: an id may be used again meanwhile.
        self.in_flight: deque[tuple[list[Request], dict[str, Request]]] = deque()

    def schedule(self) -> SchedulerOutput:
        """Decide the next step.

        Raises `StepsInFlightError` if two are in flight already; nothing has changed then.
        """
        if len(self.in_flight) > 1:
            raise StepsInFlightError("two steps are in flight: call update_from_output with the older one before you schedule a third")
        output = super().schedule()
        served, awaiting = [self.requests[scheduled.request_id] for scheduled in output.scheduled], {}
        for request, scheduled in zip(served, output.scheduled):
            request.num_in_flight_tokens += scheduled.num_tokens
            if request.num_computed_tokens == request.num_tokens + request.num_output_placeholders:     # to its end, so it samples
                request.num_output_placeholders += 1
                awaiting[request.request_id] = request
        self.in_flight.append((served, awaiting))
        return output

    def update_from_output(self, output: SchedulerOutput, sampled: Mapping[str, Sequence[int]]) -> list[EngineCoreOutput]:
        """Take in the tokens of the oldest step in flight.

        Raises `StepsInFlightError` if there is none.
        """
        if not self.in_flight:
            raise StepsInFlightError("no step is in flight: call schedule first")
        served, awaiting = self.in_flight.popleft()
        for request, scheduled in zip(served, output.scheduled):
            request.num_in_flight_tokens -= scheduled.num_tokens
        wanted = {request_id for request_id, request in awaiting.items() if self.requests.get(request_id) is request}
        return super().update_from_output(output, {request_id: tokens for request_id, tokens in sampled.items() if request_id in wanted})

    def reset_prefix_cache(self, reset_running_requests: bool = False) -> bool:
        """As in `Scheduler`. What is in flight for the running requests is dropped: they may be resumed before it comes."""
        if reset_running_requests:
            for _, awaiting in self.in_flight:
                for request in self.running:
                    awaiting.pop(request.request_id, None)
        return super().reset_prefix_cache(reset_running_requests)

    def _num_missing_tokens(self, request: Request) -> int:
        """None, if the token in flight is the last one: by `max_tokens` or `max_model_len` this is known before it comes."""
        in_flight = request.num_output_placeholders
        num_tokens = request.num_tokens + in_flight
        if in_flight and (request.num_output_tokens + in_flight >= request.max_tokens or num_tokens >= self.config.max_model_len):
            return 0
        return num_tokens - request.num_computed_tokens

    def _takes_output(self, request: Request) -> bool:
        """A request preempted meanwhile gets the token that was in flight; only a reset takes it back."""
        return True

    def _append_output(self, request: Request, token_ids: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        was_running = request.status is RequestStatus.RUNNING
        new_token_ids, has_stopped = super()._append_output(request, token_ids)
        if was_running:
            request.num_output_placeholders -= len(new_token_ids)
            # A block is cached once its tokens are known and computed; what is in flight counts as computed already.
            self.block_manager.cache_blocks(request, request.num_computed_tokens - request.num_output_placeholders)
        elif has_stopped:
            self.waiting.remove(request)
        return new_token_ids, has_stopped

    def _preempt(self, request: Request) -> None:
        request.num_output_placeholders = 0
        super()._preempt(request)
