"""How many threads a step on the CPU gets: all of torch's, unless it is small, or others want the cores too.

Threads that work on one product wait for each other at its end, and they wait busily.
With one busy stranger on the cores, two of them were seen to take thirty times as long
as one alone. vLLM is on the safe side and always leaves a core to others
(`utils/ompmultiprocessing.py::OMPProcessManager`).
"""
from contextlib import contextmanager
from time import perf_counter, thread_time

import torch

ALL = torch.get_num_threads()   # as OMP_NUM_THREADS, torch, or whoever imports this has chosen
SMALL = 50_000_000      # multiplications: about a millisecond, in pieces too small to share
CROWDED = 0.8           # a step that runs for less than this share of its time is kept off its core by somebody
STEPS_ALONE = 100       # then this many steps have one thread, before all are tried again


class Threads:
    def __init__(self, most: int = ALL):
        self.most, self.steps_alone = most, 0

    @contextmanager
    def for_step(self, num_products: int):
        """`num_products`: multiplications in the step that runs in this context."""
        self.steps_alone = max(0, self.steps_alone - 1)
        threads = 1 if num_products < SMALL or self.steps_alone else self.most
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        wall, running = perf_counter(), thread_time()
        yield
        if threads > 1 and thread_time() - running < CROWDED * (perf_counter() - wall):
            self.steps_alone = STEPS_ALONE
