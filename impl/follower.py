"""A further rank of a tensor-parallel engine, in a process of its own: it computes what rank 0 computes, and says nothing while all goes well.

It is told of each step what was decided and what it cannot know. On a GPU all ranks sample, as the newest tokens have to be on
each device before the processor knows them: from the same logits and seeds the same tokens, and that is checked when rank 0 tells
them. Mirrors `v1/executor/multiproc_executor.py::WorkerProc`.
"""
import itertools
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

import torch
from torch.distributed import TCPStore

from impl import torch_ops
from impl.errors import LostContactError, StepMismatchError, WorkerDiedError, WorkerError
from impl.gloo import LOOPBACK
from impl.model_runner import ModelRunner
from impl.outputs import ScheduledRequest, SchedulerOutput
from impl.request import Request
from impl.runner_setup import RunnerSetup
from impl.tensor_parallel import Group
from impl.worker_monitor import WorkerMonitor

START = 300.0       # seconds in which a rank must have its weights, and in which the graphs must be captured
READY = "ready"
NEW_ENGINE = "the engine has ended; build a new one"


class Told(NamedTuple):
    """What a rank is told of a step."""

    number: int
    scheduled: list[tuple]              # of each `ScheduledRequest` its values, which are pickled in a third of the time
    preempted_req_ids: list[str]
    finished_req_ids: list[str]
    admitted: list[Request]             # who is new or back, with all tokens
    sampled: dict[str, list[int]]       # of the others, the tokens since the last step
    digest: int                         # of what is to be computed


def worker_main(pipe: Connection, group: Group, port: int, timeout: float, setup: RunnerSetup) -> None:
    """A rank, from its first breath to its last. What becomes of it, it tells rank 0, if it can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for rank 0, which ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        loaded = setup.load(group)
        pipe.send(READY)
        monitor = WorkerMonitor(group.abort)
        monitor.start()
        group.connect(TCPStore(LOOPBACK, port, is_master=False), timeout)
        with monitor.waiting(START):
            model_runner = setup.runner(*loaded, group)
        Follower(group.rank, model_runner, monitor, group.patience(timeout), steps_in_flight=2 if setup.config.async_scheduling else 1).follow(pipe)
    except WorkerError as error:
        pipe.send(error)
    except Exception as error:
        pipe.send(WorkerDiedError(f"rank {group.rank} ended with {type(error).__name__}: {error}"))
        raise


class Follower:
    """`steps_in_flight`: how many the engine hands out before it takes in the first. `patience`: seconds for which a step may keep it waiting."""

    def __init__(self, rank: int, model_runner: ModelRunner, monitor: WorkerMonitor, patience: float, steps_in_flight: int):
        self.rank, self.model_runner, self.monitor, self.patience, self.steps_in_flight = rank, model_runner, monitor, patience, steps_in_flight
        self.samples = model_runner.ops is not torch_ops
        self.requests: dict[str, Request] = {}
        self.since: dict[str, int] = {}                 # by request: the step with which it came, or came back
        self.sampled: dict[str, list[int]] = {}         # by request: the tokens that rank 0 has not told yet
        self.in_flight: deque[tuple[int, object]] = deque()

    def follow(self, pipe: Connection) -> None:
        """Compute what rank 0 computes, until it closes the pipe."""
        for number in itertools.count(1):
            try:
                told: Told = pickle.loads(pipe.recv_bytes())
            except EOFError:
                return
            output = SchedulerOutput([ScheduledRequest(*share) for share in told.scheduled], told.preempted_req_ids, told.finished_req_ids)
            self._take_over(number, told, output)
            if self.samples:
                self._hand_out(number, output)
            else:
                self.model_runner.execute(output, self.requests)

    def _take_over(self, number: int, told: Told, output: SchedulerOutput) -> None:
        """Bring the requests up to date. Raises `StepMismatchError` if this rank has computed, or would compute, anything else than rank 0."""
        if told.number != number:
            raise StepMismatchError(f"rank {self.rank} is at step {number}, rank 0 at step {told.number}: {NEW_ENGINE}")
        for request_id in told.finished_req_ids:
            for known in (self.requests, self.since, self.sampled):
                known.pop(request_id, None)
        for request in told.admitted:
            self.requests[request.request_id], self.since[request.request_id], self.sampled[request.request_id] = request, number, []
        for request_id, token_ids in told.sampled.items():
            self.requests[request_id].token_ids += token_ids
            own, self.sampled[request_id] = self.sampled[request_id][:len(token_ids)], self.sampled[request_id][len(token_ids):]
            if self.samples and own != token_ids:
                raise StepMismatchError(f"rank {self.rank} has sampled other tokens than rank 0 for request {request_id!r}, {own} and {token_ids}: {NEW_ENGINE}")
        if digest(output, self.requests) != told.digest:
            raise StepMismatchError(f"rank {self.rank} would compute other tokens than rank 0 in step {number}: {NEW_ENGINE}")

    def _hand_out(self, number: int, output: SchedulerOutput) -> None:
        """As the engine does it at rank 0: hand out a step, then wait for the one before, or if none may be in flight, for this one."""
        with self.monitor.waiting(self.patience):
            handed = self.model_runner.hand_out(output, self.requests)
            if handed.error:    # not only with its result: the others are in this step
                raise handed.error
            self.in_flight.append((number, handed))
            if len(self.in_flight) < self.steps_in_flight:
                return
            before, handed = self.in_flight.popleft()
            sampled = handed.result()
        if self.monitor.lost:
            raise LostContactError(f"step {before} took rank {self.rank} more than {self.patience:g} s")
        for request_id, new in sampled.items():
            if self.since.get(request_id, number) <= before:    # or it is another by now, or has come back with all its tokens
                self.sampled[request_id] += new.token_ids


def digest(output: SchedulerOutput, requests: Mapping[str, Request]) -> int:
    """Of each request's share: how many tokens it has, how many are computed, and which are to be. (Numbers hash alike in all processes.)"""
    told = [(requests[share.request_id], share.num_computed_tokens, share.num_computed_tokens + share.num_tokens) for share in output.scheduled]
    return hash(tuple((request.num_tokens, start, *request.token_ids[start:end]) for request, start, end in told))


def _end_with_parent() -> None:
    """Wherever it is, a rank does not outlive the engine's process."""
    wait([parent_process().sentinel])
    os._exit(1)
