"""A scheduler of sixty lines: what one would write before having read vLLM.

It shows the doors an engine needs on the bench (`pytest spec --impl=impl.naive`).
A request takes all the blocks it could ever need when it is admitted, so nothing is
ever preempted, nothing is cached, and no prompt is computed in chunks.
"""
from impl.outputs import NEW, RUNNING, EngineCoreOutput, ScheduledRequest, SchedulerOutput
from impl.request import RequestStatus


class BlockManager:
    def __init__(self, num_blocks):
        self.free_blocks = list(range(1, num_blocks))
        self.tables = {}

    def allocate(self, request_id, num_blocks):
        self.tables[request_id] = tuple(self.free_blocks[:num_blocks])
        del self.free_blocks[:num_blocks]
        return self.tables[request_id]

    def free(self, request_id):
        self.free_blocks += self.tables.pop(request_id, ())


class Scheduler:
    def __init__(self, config):
        self.config = config
        self.block_manager = BlockManager(config.num_blocks)
        self.waiting, self.running, self.finished = [], [], []

    def add_request(self, request):
        request.max_tokens = request.max_tokens or self.config.max_model_len - request.num_prompt_tokens
        self.waiting.append(request)

    def abort(self, request_id):
        for queue in (self.waiting, self.running):
            for request in [request for request in queue if request.request_id == request_id]:
                queue.remove(request)
                self._finish(request)

    def schedule(self):
        scheduled = [ScheduledRequest(request.request_id, RUNNING, 1, request.num_tokens - 1, ()) for request in self.running]
        budget = self.config.max_num_batched_tokens - len(scheduled)
        while self.waiting and len(self.running) < self.config.max_num_seqs:
            request = self.waiting[0]
            num_blocks = -(-(request.num_tokens + request.max_tokens) // self.config.block_size)
            if request.num_tokens > budget or num_blocks > len(self.block_manager.free_blocks):
                break
            budget -= request.num_tokens
            request.status = RequestStatus.RUNNING
            self.running.append(self.waiting.pop(0))
            table = self.block_manager.allocate(request.request_id, num_blocks)
            scheduled.append(ScheduledRequest(request.request_id, NEW, request.num_tokens, 0, table))
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
                self.running.remove(request)
                self._finish(request)
        return outputs

    def _finish(self, request):
        self.block_manager.free(request.request_id)
        self.finished.append(request.request_id)
