"""The engine you could have written."""
from impl.config import SchedulerConfig
from impl.outputs import SchedulerOutput
from impl.parallel_sampling import fan_out
from impl.request import Request
from impl.sampling_params import SamplingParams
from impl.scheduler import PauseState, Scheduler

__all__ = ["PauseState", "Request", "SamplingParams", "Scheduler", "SchedulerConfig", "SchedulerOutput", "fan_out"]
