"""The order in which vLLM's engine takes its steps: its own loop over the scheduler without weights.

The player (`reference/play.py`) decides a step and then takes in the one before. That this is what the engine does
with asynchronous scheduling is not assumed: here `EngineCore.step_with_batch_queue` itself turns the wheel, and what
stands in for the model samples when a step is handed out, not when it is taken in.
"""
import queue
from collections import deque
from concurrent.futures import Future

from reference.vllm_scheduler import VllmEngine
from reference.workload import Workload


def turned_by_the_engine(workload: Workload) -> list[tuple]:
    """What happened, in this order: ("schedule", shares) and ("update", outputs), without those that are empty.

    Requests arrive, and aborts are sent, before the engine's turn in which the step `arrives` or `at` is decided.
    """
    engine = VllmEngine(workload)
    happened: list[tuple] = []
    core = _core(engine, workload, happened)
    specs = {(spec.arrives, spec.request_id): spec for spec in workload.requests}
    for turn in range(workload.max_steps):
        for spec in [spec for (arrives, _), spec in specs.items() if arrives == turn]:
            engine.add(spec, float(turn))
        for action in [action for action in workload.actions if action.at == turn]:
            core.aborts_queue.put([action.argument])
        core.step_with_batch_queue()
        if not core.scheduler.has_requests() and not core.batch_queue:
            return [(what, told) for what, told in happened if told]
    raise TimeoutError(f"the engine is not done after {workload.max_steps} turns; its workload must have no pause in it")


def _core(engine: VllmEngine, workload: Workload, happened: list[tuple]):
    """An `EngineCore` whose parts are put in by hand, so that none of them needs a device."""
    from vllm.v1.engine.core import EngineCore
    core = EngineCore.__new__(EngineCore)
    core.vllm_config, core.log_stats, core._weight_version = engine.config, False, None
    core.is_mm_encoder_only = core.is_pooling_model = False
    core.batch_queue_size = engine.config.max_concurrent_batches
    core.batch_queue = deque(maxlen=core.batch_queue_size)
    core.aborts_queue = queue.Queue()
    core.model_executor = _Executor(engine, workload)
    core.scheduler = engine.scheduler
    schedule, update = core.scheduler.schedule, core.scheduler.update_from_output

    def noted_schedule(*args):
        output = schedule(*args)
        happened.append(("schedule", engine.eyes.decision(output).scheduled))
        return output

    def noted_update(*args):
        answer = update(*args)
        happened.append(("update", engine.eyes.outcome(answer)))
        return answer

    core.scheduler.schedule, core.scheduler.update_from_output = noted_schedule, noted_update
    return core


class _Executor:
    """Instead of workers: a step's tokens are chosen when it is handed out, by the position they will stand at."""

    def __init__(self, engine: VllmEngine, workload: Workload):
        self.engine, self.specs = engine, {spec.request_id: spec for spec in workload.requests}

    def execute_model(self, output, non_block: bool) -> Future:
        self.sampled = {request_id: self._sample(request_id) for request_id in output.num_scheduled_tokens}
        return self._future(None if self.sampled else self._output())

    def sample_tokens(self, grammar, non_block: bool) -> Future:
        return self._future(self._output())

    def _sample(self, request_id: str) -> list[int]:
        request = self.engine.scheduler.requests[request_id]
        if request.is_prefill_chunk:
            return []
        return [self.specs[request_id].output_token(request_id, request.num_computed_tokens - request.num_prompt_tokens + 1)]

    def _output(self):
        order = list(self.sampled)
        return self.engine.vllm.ModelRunnerOutput(
            req_ids=order, req_id_to_index={request_id: index for index, request_id in enumerate(order)},
            sampled_token_ids=list(self.sampled.values()), logprobs=None, prompt_logprobs_dict={}, pooler_output=[])

    def _future(self, result) -> Future:
        future: Future = Future()
        future.set_result(result)
        return future
