"""`python -m spec.gpu.nccl_rehearsal SCENARIO MODEL DTYPE LIMIT`: those of `two_gpus.py` without GPUs, with all that is ours around NCCL.

NCCL itself is stood in for: gloo adds up, and like a kernel on a GPU, a collective whose other rank is gone ends when it is aborted, without an error.
"""
import ctypes
import functools
import os
import secrets
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import kernels  # noqa: F401  before anything imports triton

import torch
from torch.distributed import FileStore, ProcessGroupGloo

from impl import nccl, tensor_parallel, triton_ops
from spec.gpu import two_gpus


class StandIn:
    """NCCL's functions, of one communicator, on float32 in the processor's memory."""

    def __init__(self):
        self.ranks, self.aborted = None, False

    def ncclGetUniqueId(self, reference) -> int:
        reference._obj.internal[:32] = list(secrets.token_hex(16).encode())
        return 0

    def ncclCommInitRank(self, reference, size: int, unique_id: nccl.UniqueId, rank: int) -> int:
        options = ProcessGroupGloo._Options()
        options._timeout = timedelta(seconds=3600)
        options._devices = [ProcessGroupGloo.create_device(hostname="127.0.0.1")]
        place = Path(tempfile.gettempdir()) / f"inferlab-{bytes(unique_id)[:32].decode()}"
        self.ranks = ProcessGroupGloo(FileStore(str(place), size), rank, size, options)
        reference._obj.value = 1
        return 0

    def ncclAllReduce(self, source: int, target: int, count: int, kind: int, what: int, comm, stream: int) -> int:
        assert source == target and kind == nccl.TYPES[torch.float32] and what == nccl.SUM and comm.value == 1
        return self._until_done(self.ranks.allreduce([_numbers(target, count)]))

    def ncclAllGather(self, source: int, target: int, count: int, kind: int, comm, stream: int) -> int:
        assert kind == nccl.TYPES[torch.float32] and comm.value == 1
        size = self.ranks.size()
        return self._until_done(self.ranks.allgather([list(_numbers(target, size * count).view(size, count).unbind())], [_numbers(source, count)]))

    def ncclCommAbort(self, comm) -> int:
        self.aborted = True
        return 0

    def _until_done(self, work) -> int:
        while not self.aborted and not (work.is_completed() and _succeeded(work)):
            time.sleep(0.0005)
        return 0


def _succeeded(work) -> bool:
    try:
        work.wait()     # `Work.exception` says it as well, but torch 2.11 cannot hand that to Python
    except RuntimeError:
        return False
    return True


def _numbers(address: int, count: int) -> torch.Tensor:
    return torch.frombuffer((ctypes.c_float * count).from_address(address), dtype=torch.float32)


def stand_in() -> None:
    nccl.library = StandIn
    torch.cuda.current_device, torch.cuda.set_device, torch.cuda.current_stream = lambda: 0, lambda device: None, lambda: SimpleNamespace(cuda_stream=0)
    tensor_parallel.GlooCommunicator = lambda store, rank, size, patience, timeout: nccl.NcclCommunicator(store, rank, size, patience, lambda: False)
    tensor_parallel.Group.patience = lambda group, timeout: timeout
    triton_ops.make_plan = functools.partial(triton_ops.make_plan, programs_per_sm=1)       # the interpreter runs them one after the other


stand_in()      # in the process of rank 1, too, which imports this file again

if __name__ == "__main__":
    two_gpus.main(*sys.argv[1:])
    os._exit(0)     # gloo would wait for a thread that waits for rank 1
