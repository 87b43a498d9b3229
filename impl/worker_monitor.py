"""The monitor: while this process waits for its device, somebody has to notice that another rank will never come.

A collective on a GPU waits for ever, and so does whoever waits for the GPU. So a thread looks at the other processes, and at the
clock. If one ends, or has something to say, or lets us wait too long, it ends the collectives, and the wait comes to an end.
Mirrors `v1/executor/multiproc_executor.py::MultiprocExecutor.start_worker_monitor`.
"""
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import wait

GLANCE = 0.2    # seconds between two looks at the clock


class WorkerMonitor:
    """`abort`: what ends the collectives; called once, at the end, on the monitor's thread, which it may keep."""

    def __init__(self, abort: Callable[[], None]):
        self.abort = abort
        self.until = math.inf       # when the wait under way takes too long
        self.lost = False           # a rank has ended, spoken, or let us wait too long
        self.over = threading.Event()
        self.woken, self.waker = Pipe(duplex=False)
        self.thread: threading.Thread | None = None

    def start(self, ends: Sequence = ()) -> None:
        """`ends`: pipes and sentinels of other processes. All is well while nothing comes from them."""
        self.thread = threading.Thread(target=self._watch, args=([self.woken, *ends],), name="worker monitor", daemon=True)
        self.thread.start()

    @contextmanager
    def waiting(self, patience: float) -> Iterator[None]:
        """Within, this process may wait for others: `patience` seconds at the most."""
        self.until = time.monotonic() + patience
        try:
            yield
        finally:
            self.until = math.inf

    def lost_within(self, seconds: float) -> bool:
        """Whether a rank is lost, be it only noticed in so many seconds."""
        self.over.wait(seconds)
        return self.lost

    def stop(self) -> None:
        """Part from the other ranks. Their pipes may be closed afterwards."""
        if self.thread:
            self.waker.send(None)
            self.over.wait()

    def join(self, seconds: float) -> None:
        """Give `abort` so much time to return."""
        if self.thread:
            self.thread.join(seconds)

    def _watch(self, ends: list) -> None:
        while not (ready := wait(ends, GLANCE)) and time.monotonic() < self.until:
            pass
        self.lost = self.woken not in ready
        self.over.set()
        self.abort()
