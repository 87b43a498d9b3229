"""The executor of a tensor-parallel engine: rank 0 computes here, each further rank in a process of its own.

Before it computes a step, rank 0 tells the others what was decided and what they cannot know: new requests, and the
tokens that were sampled. They follow, and meet it in the collectives. Nobody answers while all goes well. Whoever
dies, hangs or is at another step lets the others wait in the next collective: then rank 0 finds out who it was.
Mirrors `v1/executor/multiproc_executor.py`.
"""
import itertools
import os
import signal
import socket
import struct
import threading
import weakref
import zlib
from collections.abc import Mapping
from copy import copy
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch
from torch.distributed import TCPStore

from impl.errors import LostContactError, StepMismatchError, WorkerDiedError, WorkerError, WorkerHungError
from impl.model_runner import ModelRunner
from impl.models import load_model
from impl.outputs import RUNNING, SchedulerOutput
from impl.request import Request
from impl.sampler import Sampled, Sampler
from impl.tensor_parallel import LOOPBACK, Group
from impl.threads import Threads

START = 300.0       # seconds in which a rank must have its weights
GRACE = 1.0         # seconds in which a rank that lives, and has lost contact as we have, tells so
READY = "ready"


class WorkerProc(NamedTuple):
    rank: int
    process: BaseProcess
    pipe: Connection


class Told(NamedTuple):
    """What a rank is told of a step."""

    number: int
    output: SchedulerOutput
    admitted: list[Request]             # who is new or back, with all tokens
    sampled: dict[str, list[int]]       # of the others, the tokens since the last step
    digest: int                         # of what is to be computed


class MultiprocExecutor:
    """In the place of a `ModelRunner`. `timeout`: seconds that a rank may let the others wait.

    Raises `WorkerDiedError` if a rank cannot start, and from `execute` what became of one; the engine has ended then, and no process is left.
    """

    def __init__(self, model_runner: ModelRunner, group: Group, folder: Path, dtype: str, num_blocks: int, timeout: float):
        self.model_runner, self.timeout = model_runner, timeout
        model_runner.threads = Threads(1)
        self.number = 0
        self.known: dict[str, int] = {}     # how many tokens of each request the others have
        self.failure: WorkerError | None = None
        self.store = TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
        load = (folder, dtype, num_blocks, model_runner.block_size)
        self.workers = [_start(Group(rank, group.size), self.store.port, timeout, load) for rank in range(1, group.size)]
        self.end = weakref.finalize(self, _end, self.workers, GRACE)     # when nobody uses the engine any more, or Python ends
        try:
            for worker in self.workers:
                _require_ready(worker)
            group.connect(self.store, timeout)
        except LostContactError as error:
            raise self._ended() from error
        except BaseException:
            _end(self.workers, patience=0)
            raise

    def execute(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> dict[str, Sampled]:
        """As `ModelRunner.execute`, at all ranks."""
        if self.failure:
            raise self.failure
        self.number += 1
        try:
            self._tell(output, requests)
            return self.model_runner.execute(output, requests)
        except (LostContactError, OSError) as error:
            raise self._ended() from error
        except BaseException:       # in the middle of a step, which the others cannot finish
            self.failure = WorkerDiedError("the ranks were ended when a step failed at rank 0; build a new engine")
            _end(self.workers, patience=0)
            raise

    def shutdown(self) -> None:
        """End the other ranks; also done when the executor is collected."""
        self.failure = self.failure or WorkerDiedError("the ranks were shut down; build a new engine")
        self.end()

    def _tell(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> None:
        for request_id in output.finished_req_ids:
            self.known.pop(request_id, None)
        admitted = [_bare(requests[share.request_id]) for share in output.scheduled if share.kind != RUNNING]
        sampled = {share.request_id: requests[share.request_id].token_ids[self.known[share.request_id]:]
                   for share in output.scheduled if share.kind == RUNNING}
        self.known |= {share.request_id: requests[share.request_id].num_tokens for share in output.scheduled}
        for worker in self.workers:
            worker.pipe.send(Told(self.number, output, admitted, sampled, digest(output, requests)))

    def _ended(self) -> WorkerError:
        self.failure = self._find_out()
        _end(self.workers, patience=0)
        return self.failure

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


class Follower(Sampler):
    """The sampler of the other ranks: they take part in computing the logits, and rank 0 chooses."""

    def sample(self, logits: torch.Tensor, requests: list[Request]) -> list[Sampled]:
        return [Sampled([], prompt_logprobs=self.prompt_logprobs.pop(request)) for request in requests]


def worker_main(pipe: Connection, group: Group, port: int, timeout: float, load: tuple[Path, str, int, int]) -> None:
    """A rank, from its first breath to its last. What becomes of it, it tells rank 0, if it can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for rank 0, which ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    folder, dtype, num_blocks, block_size = load
    try:
        model, config = load_model(folder, dtype, "cpu", group=group)
        model_runner = ModelRunner(model, config, num_blocks, block_size, Follower())
        model_runner.threads = Threads(1)
        pipe.send(READY)
        group.connect(TCPStore(LOOPBACK, port, is_master=False), timeout)
        _follow(pipe, group.rank, model_runner)
    except WorkerError as error:
        pipe.send(error)
    except Exception as error:
        pipe.send(WorkerDiedError(f"rank {group.rank} ended with {type(error).__name__}: {error}"))
        raise


def _follow(pipe: Connection, rank: int, model_runner: ModelRunner) -> None:
    """Compute what rank 0 computes, until it closes the pipe."""
    requests: dict[str, Request] = {}
    for number in itertools.count(1):
        try:
            told: Told = pipe.recv()
        except EOFError:
            return
        if told.number != number:
            raise StepMismatchError(f"rank {rank} is at step {number}, rank 0 at step {told.number}: the engine has ended; build a new one")
        for request_id in told.output.finished_req_ids:
            requests.pop(request_id, None)
        requests |= {request.request_id: request for request in told.admitted}
        for request_id, token_ids in told.sampled.items():
            requests[request_id].token_ids += token_ids
        if digest(told.output, requests) != told.digest:
            raise StepMismatchError(f"rank {rank} would compute other tokens than rank 0 in step {number}: the engine has ended; build a new one")
        model_runner.execute(told.output, requests)


def digest(output: SchedulerOutput, requests: Mapping[str, Request]) -> int:
    """Of each request's share: which tokens, behind how many, and how many there are."""
    return zlib.crc32(repr([(share, requests[share.request_id].num_tokens,
                             requests[share.request_id].token_ids[share.num_computed_tokens:share.num_computed_tokens + share.num_tokens])
                            for share in output.scheduled]).encode())


def _bare(request: Request) -> Request:
    """What the model runner reads of a request. A grammar cannot travel, and is rank 0's business."""
    bare = copy(request)
    bare.grammar, bare.block_hashes = None, []
    return bare


def _start(group: Group, port: int, timeout: float, load: tuple) -> WorkerProc:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    with socket.socket(fileno=os.dup(ours.fileno())) as end:     # who does not read must not keep us either
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", *(int(part) for part in divmod(timeout * 10**6, 10**6))))
    process = spawn.Process(target=worker_main, args=(theirs, group, port, timeout, load), name=f"rank {group.rank}", daemon=True)
    process.start()
    theirs.close()
    return WorkerProc(group.rank, process, ours)


def _require_ready(worker: WorkerProc) -> None:
    report = _report(worker, START)
    if report != READY:
        raise report or WorkerHungError(f"rank {worker.rank} has not loaded its weights in {START:.0f} s")


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
    return WorkerDiedError(f"rank {worker.rank} (process {worker.process.pid}) died with exit code {worker.process.exitcode}: the engine has ended. "
                           "-9 is a kill, often for want of memory; at the start, a script that builds an engine outside of "
                           "`if __name__ == \"__main__\":`. Build a new one")


def _end(workers: list[WorkerProc], patience: float) -> None:
    """Leave no process behind. Who is in no step ends when its pipe is closed; the others are killed."""
    for worker in workers:
        worker.pipe.close()
    for worker in workers:
        worker.process.join(patience)
        worker.process.kill()
        worker.process.join()


def _end_with_parent() -> None:
    """Wherever it is, a rank does not outlive the engine's process."""
    wait([parent_process().sentinel])
    os._exit(1)
