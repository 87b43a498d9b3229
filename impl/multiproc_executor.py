"""The executor of a tensor-parallel engine: rank 0 computes here, each further rank in a process of its own.

Before it computes a step, rank 0 tells the others what was decided and what they cannot know: new requests, and the
tokens that were sampled. They follow (`follower.py`), and meet it in the collectives. Nobody answers while all goes well. Whoever
dies, hangs or is at another step lets the others wait in the next collective: that comes to an end, on the CPU as gloo
has a timeout, on a GPU by the monitor (`worker_monitor.py`), and rank 0 finds out who it was.
Mirrors `v1/executor/multiproc_executor.py`.
"""
import os
import pickle
import socket
import struct
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch
from torch.distributed import TCPStore

from impl.errors import LostContactError, StepMismatchError, WorkerDiedError, WorkerError, WorkerHungError
from impl.follower import NEW_ENGINE, READY, START, Told, digest, worker_main
from impl.gloo import LOOPBACK
from impl.model_runner import ModelRunner
from impl.outputs import RUNNING, SchedulerOutput
from impl.request import Request
from impl.runner_setup import RunnerSetup
from impl.sampler import Sampled
from impl.tensor_parallel import Group
from impl.worker_monitor import WorkerMonitor

GRACE = 1.0         # seconds in which a rank that lives, and has lost contact as we have, tells so


class WorkerProc(NamedTuple):
    rank: int
    process: BaseProcess
    pipe: Connection


class Flight(NamedTuple):
    """A step that is handed out at all ranks, or the error that it ended with."""

    executor: "MultiprocExecutor"
    handed: object
    error: Exception | None = None

    def result(self) -> dict[str, Sampled]:
        """Wait for the step; what it sampled, by request id."""
        if self.error:
            raise self.error
        return self.executor.collect(self.handed)


class MultiprocExecutor:
    """In the place of a `ModelRunner`, or of a `GPUModelRunner`. `timeout`: seconds that a rank may let the others wait; on a GPU, that a step may take.

    Raises `WorkerDiedError` if a rank cannot start, and from `execute`, or from the result of `hand_out`, what became of one; the engine has
    ended then, and no process is left.
    """

    def __init__(self, setup: RunnerSetup, group: Group, model: torch.nn.Module, model_config: dict, timeout: float):
        self.timeout, self.patience = timeout, group.patience(timeout)
        self.runners: list[ModelRunner] = []        # the one of this rank, until the engine ends
        self.number = 0
        self.known: dict[str, int] = {}     # how many tokens of each request the others have
        self.failure: WorkerError | None = None
        self.store = TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
        self.monitor = WorkerMonitor(group.abort)
        self.workers = [_start(Group(rank, group.size, group.device), self.store.port, timeout, setup) for rank in range(1, group.size)]
        self.end = weakref.finalize(self, _end, self.workers, self.monitor, self.runners, GRACE)      # when nobody uses the engine any more, or Python ends
        for worker in self.workers:
            self._require_ready(worker)
        with self._together(START):
            self.monitor.start([end for worker in self.workers for end in (worker.pipe, worker.process.sentinel)])
            group.connect(self.store, timeout)
            self.runners.append(setup.runner(model, model_config, group))

    @property
    def model_runner(self) -> ModelRunner:
        return self.runners[0]

    def execute(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> dict[str, Sampled]:
        """As `ModelRunner.execute`, at all ranks."""
        with self._together(self.patience):
            self._tell(output, requests)
            return self.model_runner.execute(output, requests)

    def hand_out(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> Flight:
        """As `GPUModelRunner.hand_out`, at all ranks."""
        try:
            with self._together(self.patience):
                self._tell(output, requests)
                handed = self.model_runner.hand_out(output, requests)
                if handed.error:    # not only with its result: the others are in this step
                    raise handed.error
                return Flight(self, handed)
        except Exception as error:
            return Flight(self, None, error)

    def collect(self, handed) -> dict[str, Sampled]:
        """The result of a step that was handed out. Whoever interrupts the waiting may wait again."""
        with self._together(self.patience, ends_with=Exception):
            return handed.result()

    def shutdown(self) -> None:
        """End the other ranks; also done when the executor is collected."""
        self._part(self.failure or WorkerDiedError("the ranks were shut down; build a new engine"), GRACE)

    def _tell(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> None:
        self.number += 1
        for request_id in output.finished_req_ids:
            self.known.pop(request_id, None)
        admitted = [_bare(requests[share.request_id]) for share in output.scheduled if share.kind != RUNNING]
        sampled = {share.request_id: requests[share.request_id].token_ids[self.known[share.request_id]:]
                   for share in output.scheduled if share.kind == RUNNING}
        self.known |= {share.request_id: requests[share.request_id].num_tokens for share in output.scheduled}
        told = pickle.dumps(Told(self.number, [tuple(share) for share in output.scheduled], output.preempted_req_ids, output.finished_req_ids,
                                 admitted, sampled, digest(output, requests)), pickle.HIGHEST_PROTOCOL)
        try:
            for worker in self.workers:
                worker.pipe.send_bytes(told)
        except OSError as error:
            raise LostContactError(str(error)) from error

    @contextmanager
    def _together(self, patience: float, ends_with: type[BaseException] = BaseException) -> Iterator[None]:
        """What is done within, all ranks do, or the engine has ended. Raises what became of which, or if it was this one, its error."""
        if self.failure:
            raise copy(self.failure)    # the failure itself is never raised: a traceback would keep alive, and on the GPU, all that it has seen
        try:
            with self.monitor.waiting(patience):
                yield
        except ends_with as error:
            # A GPU may complain, too, of memory that went with its rank.
            if isinstance(error, LostContactError) or isinstance(error, RuntimeError) and self.monitor.lost_within(GRACE):
                self._part(self._find_out(), patience=0)
                raise copy(self.failure) from error
            self._part(WorkerDiedError("the ranks were ended when a step failed at rank 0; build a new engine"), patience=0)
            raise
        if self.monitor.lost:       # the step has come to an end, as it was ended: it means nothing
            self._part(self._find_out(), patience=0)
            raise copy(self.failure)

    def _require_ready(self, worker: WorkerProc) -> None:
        report = _report(worker, START)
        if report != READY:
            self._part(report or WorkerHungError(f"rank {worker.rank} has not loaded its weights in {START:.0f} s"), patience=0)
            raise copy(self.failure)

    def _part(self, failure: WorkerError, patience: float) -> None:
        self.failure = failure
        _end(self.workers, self.monitor, self.runners, patience)

    def _find_out(self) -> WorkerError:
        """Why the collective has failed: who has died or disagreed is to blame before who says nothing, and he before who waited like us."""
        reports = {worker.rank: _report(worker, GRACE) for worker in self.workers}
        for kind in (StepMismatchError, WorkerDiedError):
            for report in reports.values():
                if isinstance(report, kind):
                    return report
        silent = [str(rank) for rank, report in reports.items() if report is None] or ["0 (this process)"]
        return WorkerHungError(f"step {self.number}: rank {', '.join(silent)} let the others wait for more than {self.timeout:g} s; the engine has "
                               "ended. If this is how long a step may take, raise distributed_timeout_seconds")


def _bare(request: Request) -> Request:
    """What the model runner reads of a request. A grammar cannot travel, and is rank 0's business."""
    bare = copy(request)
    bare.grammar, bare.block_hashes = None, []
    return bare


def _start(group: Group, port: int, timeout: float, setup: RunnerSetup) -> WorkerProc:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    with socket.socket(fileno=os.dup(ours.fileno())) as end:     # who does not read must not keep us either
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", *(int(part) for part in divmod(timeout * 10**6, 10**6))))
    process = spawn.Process(target=worker_main, args=(theirs, group, port, timeout, setup), name=f"rank {group.rank}", daemon=True)
    process.start()
    theirs.close()
    return WorkerProc(group.rank, process, ours)


def _report(worker: WorkerProc, patience: float) -> WorkerError | str | None:
    """What a rank has told, or what it died of; None if it lives and says nothing for `patience` seconds."""
    if not wait([worker.pipe, worker.process.sentinel], patience):
        return None
    try:
        if worker.pipe.poll():
            return worker.pipe.recv()
    except (EOFError, OSError):
        pass
    worker.process.join(GRACE)
    return WorkerDiedError(f"rank {worker.rank} (process {worker.process.pid}) died with exit code {worker.process.exitcode}: {NEW_ENGINE}. "
                           "-9 is a kill, often for want of memory; at the start, a script that builds an engine outside of "
                           "`if __name__ == \"__main__\":`")


def _end(workers: list[WorkerProc], monitor: WorkerMonitor, runners: list[ModelRunner], patience: float) -> None:
    """Leave no process behind. Who is in no step ends when its pipe is closed; the others are killed.

    This rank gives up its cache, weights and CUDA graphs: NCCL does not part before the graphs are gone.
    """
    monitor.stop()      # first, as a graph may be waiting for a rank that is gone
    runners.clear()
    for worker in workers:
        worker.pipe.close()
    for worker in workers:
        worker.process.join(patience)
        worker.process.kill()
        worker.process.join()
    monitor.join(GRACE)
