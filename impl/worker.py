"""The worker: it computes steps on a thread of its own, in the order in which they are handed out.

So the engine goes on while the model computes. The worker knows the newest token of a
request before the scheduler does, and the next step begins with it: it keeps its own
copy of who is running. Mirrors `v1/worker/gpu_input_batch.py::InputBatch` in what it keeps.
"""
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy

from impl.model_runner import ModelRunner
from impl.outputs import RUNNING, SchedulerOutput
from impl.request import Request
from impl.sampler import Sampled


class Worker:
    def __init__(self, model_runner: ModelRunner):
        self.model_runner = model_runner
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self.requests: dict[str, Request] = {}      # touched by the thread alone

    def hand_out(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> "Future[dict[str, Sampled]]":
        """Compute a step as soon as those before are computed; returns at once."""
        admitted = [_copy(requests[share.request_id]) for share in output.scheduled if share.kind != RUNNING]
        return self.thread.submit(self._compute, output, admitted)

    def _compute(self, output: SchedulerOutput, admitted: list[Request]) -> dict[str, Sampled]:
        for request_id in output.finished_req_ids:
            self.requests.pop(request_id, None)
        self.requests.update((request.request_id, request) for request in admitted)
        sampled = self.model_runner.execute(output, self.requests)
        for request_id, new in sampled.items():     # of whom no token could be chosen, any: the request is about to end
            self.requests[request_id].token_ids += new.token_ids or [0]
        return sampled


def _copy(request: Request) -> Request:
    """With tokens of its own: the engine appends to the other's meanwhile."""
    copied = copy(request)
    copied.token_ids = list(request.token_ids)
    return copied
