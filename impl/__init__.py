"""The engine you could have written."""
from importlib import import_module

from impl.async_scheduler import AsyncScheduler
from impl.config import SchedulerConfig
from impl.outputs import SchedulerOutput
from impl.parallel_sampling import fan_out
from impl.request import Request
from impl.sampling_params import SamplingParams
from impl.scheduler import PauseState, Scheduler
from impl.structured_output import Grammar

WITH_TENSORS = {"LLM": "llm", "AsyncLLM": "async_llm"}     # the files they are in

__all__ = ["LLM", "AsyncLLM", "AsyncScheduler", "Grammar", "PauseState", "Request", "SamplingParams", "Scheduler", "SchedulerConfig", "SchedulerOutput", "fan_out"]


def __getattr__(name: str):
    """What needs torch is imported when somebody asks for it: the scheduler does without."""
    if name not in WITH_TENSORS:
        raise AttributeError(f"module 'impl' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{WITH_TENSORS[name]}"), name)
