"""A clock around the phases of an engine's step."""
import threading
from collections import defaultdict
from time import perf_counter


class Clock:
    """Seconds by phase. A phase within another is taken off it; threads other than the main one are told apart."""

    def __init__(self):
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.within = threading.local()
        self.absent: list[str] = []

    def watch(self, owner, methods: str, phase: str) -> None:
        """`methods`: names, separated by spaces. What an engine of another version does not have is noted."""
        for method in methods.split():
            if hasattr(owner, method):
                setattr(owner, method, self._timed(getattr(owner, method), phase))
            else:
                self.absent.append(f"{phase}: {method}")

    def _timed(self, inner, phase: str):
        def timed(*arguments, **named):
            inner_times = self.within.__dict__.setdefault("times", [])
            inner_times.append(0.0)
            began = perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                took = perf_counter() - began
                thread = "main" if threading.current_thread() is threading.main_thread() else "worker"
                self.seconds[thread, phase] += took - inner_times.pop()
                if inner_times:
                    inner_times[-1] += took
        return timed


def watch_waiting(clock: Clock) -> None:
    """Wherever the host asks for what the device has not computed yet. (Copies to the device that wait are within the phase that makes them.)"""
    import torch
    if torch.cuda.is_available():
        clock.watch(torch.cuda.Event, "synchronize", "wait for the device")
        clock.watch(torch.cuda.Stream, "synchronize", "wait for the device")
        clock.watch(torch.cuda, "synchronize", "wait for the device")
    clock.watch(torch.Tensor, "tolist item cpu", "wait for the device")
