"""vLLM's whole engine with one step in flight, in this process, on a GPU or on a CPU.

On a GPU it is vLLM's own way: whoever launches kernels does not wait for them, and the tokens come on a stream of their own. On a
CPU vLLM turns asynchronous scheduling off (`platforms/cpu.py::CpuPlatform.check_and_update_config`), and its executor of one
process (`v1/executor/uniproc_executor.py::UniProcExecutor`) computes before it returns. Both are changed here: the flag is set
again, and the executor computes on a thread. Scheduler, loop (`EngineCore.step_with_batch_queue`) and model runner are vLLM's.
"""
import functools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

from reference.vllm_llm import ON_GPU, _vllm
from reference.vllm_scheduler import installed_device

KEPT: list = []     # an engine that is destroyed breaks its successor


def vllm_engine(model: Path, overlapped: bool, **limits):
    """A new `LLMEngine` for a checkpoint, which overlaps its steps or does not. Raises what vLLM raises."""
    vllm, on_gpu = _vllm(), installed_device() == "cuda"
    by_hand = overlapped and not on_gpu
    where = ON_GPU if on_gpu else {"distributed_executor_backend": _thread_executor()} if by_hand else {}
    with _asynchronous_on_a_cpu() if by_hand else nullcontext():
        KEPT.append(vllm.LLM(model=str(model), async_scheduling=overlapped, use_tqdm_on_load=False, **(where | limits)))
    core = KEPT[-1].llm_engine.engine_core.engine_core
    if (core.batch_queue_size > 1) != overlapped:
        raise RuntimeError(f"vLLM keeps {core.batch_queue_size} steps at once where overlapped={overlapped} was asked for")
    return KEPT[-1].llm_engine


def _asynchronous_on_a_cpu():
    """While it is entered, configurations for a CPU are asynchronous: the platform has the last word about them, and then we have."""
    from vllm.platforms import current_platform
    check = current_platform.check_and_update_config

    def check_and_overlap(config) -> None:
        check(config)
        config.scheduler_config.async_scheduling = True

    return mock.patch.object(type(current_platform), "check_and_update_config", staticmethod(check_and_overlap))


@functools.cache
def _thread_executor() -> type:
    """vLLM's executor of one process, but for the thread on which it computes."""
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    class ThreadExecutor(UniProcExecutor):
        def _init_executor(self) -> None:
            self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vllm-worker")
            super()._init_executor()

        def execute_model(self, scheduler_output, non_block: bool = False):
            return self._hand_out(super().execute_model, scheduler_output, non_block)

        def sample_tokens(self, grammar_output, non_block: bool = False):
            return self._hand_out(super().sample_tokens, grammar_output, non_block)

        def _hand_out(self, compute, argument, non_block: bool):
            future: Future = self.thread.submit(compute, argument, False)
            return future if non_block else future.result()

    return ThreadExecutor
