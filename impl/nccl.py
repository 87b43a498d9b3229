"""NCCL, for ranks on GPUs: what is needed of its C interface.

A collective is a kernel on torch's current stream: it comes in its turn, goes into a CUDA graph like any other, and nobody waits
for it. torch's own `ProcessGroupNCCL` has a watchdog, which ends the process of whoever waits in vain; here the engine is to say
for whom. Mirrors `distributed/device_communicators/pynccl.py::PyNcclCommunicator`.
"""
import ctypes
import functools
import threading
import time
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p

import torch
from torch.distributed import Store

TYPES = {torch.float16: 6, torch.float32: 7, torch.bfloat16: 9}     # as nccl.h numbers them
SUM = 0
KEY = "nccl"
ENOUGH = 1.0    # seconds for a call that launches a kernel; who takes longer is stuck in it


class UniqueId(ctypes.Structure):
    """Where the ranks meet: rank 0 makes it."""

    _fields_ = [("internal", ctypes.c_byte * 128)]


SIGNATURES = {
    "ncclGetUniqueId": [POINTER(UniqueId)],
    "ncclCommInitRank": [POINTER(c_void_p), c_int, UniqueId, c_int],
    "ncclAllReduce": [c_void_p, c_void_p, c_size_t, c_int, c_int, c_void_p, c_void_p],
    "ncclAllGather": [c_void_p, c_void_p, c_size_t, c_int, c_void_p, c_void_p],
    "ncclCommAbort": [c_void_p],
    "ncclGetErrorString": [c_int],
    "ncclGetLastError": [c_void_p],
}


@functools.cache
def library() -> ctypes.CDLL:
    """The one that torch has loaded."""
    nccl = ctypes.CDLL("libnccl.so.2")
    for name, arguments in SIGNATURES.items():
        getattr(nccl, name).argtypes = arguments
    nccl.ncclGetErrorString.restype = nccl.ncclGetLastError.restype = c_char_p
    return nccl


class NcclCommunicator:
    """Rank `rank` of `size`, on the current device. Raises `RuntimeError` when a call fails.

    The ranks meet at `store`, within `patience` seconds, and only as long as nobody has `given_up`.
    """

    def __init__(self, store: Store, rank: int, size: int, patience: float, given_up: Callable[[], bool]):
        self.nccl, self.comm = library(), c_void_p()
        self.lock, self.aborted = threading.Lock(), False
        if rank == 0:
            unique_id = UniqueId()
            self._check(self.nccl.ncclGetUniqueId(byref(unique_id)))
            store.set(KEY, bytes(unique_id))
        unique_id = UniqueId.from_buffer_copy(store.get(KEY))
        met: list[int] = []
        # On a thread, as NCCL waits for ever for a rank that does not come.
        thread = threading.Thread(target=self._meet, args=(size, unique_id, rank, torch.cuda.current_device(), met), name="nccl", daemon=True)
        thread.start()
        until = time.monotonic() + patience
        while thread.is_alive() and not given_up() and time.monotonic() < until:
            thread.join(0.05)
        if not met:
            raise RuntimeError(f"NCCL: the ranks have not met within {patience:g} s")
        self._check(met[0])

    def _meet(self, size: int, unique_id: UniqueId, rank: int, device: int, met: list[int]) -> None:
        torch.cuda.set_device(device)       # a thread begins with the first
        met.append(self.nccl.ncclCommInitRank(byref(self.comm), size, unique_id, rank))

    def all_reduce(self, x: torch.Tensor) -> None:
        """The sum of all ranks' `x`, in its memory."""
        self._launch(self.nccl.ncclAllReduce, x.data_ptr(), x.data_ptr(), x.numel(), TYPES[x.dtype], SUM)

    def all_gather(self, parts: torch.Tensor, x: torch.Tensor) -> None:
        """All ranks' `x`, one after the other, into `parts` [size, *x.shape]."""
        self._launch(self.nccl.ncclAllGather, x.data_ptr(), parts.data_ptr(), x.numel(), TYPES[x.dtype])

    def abort(self) -> None:
        """End the collectives that wait on the device: their results mean nothing then, and nothing else says so.

        Returns when no CUDA graph that has one is left: call it on a thread of its own.
        """
        self.aborted = True
        if self.lock.acquire(timeout=ENOUGH):   # NCCL frees what somebody on another thread may be using
            self.lock.release()
        self.nccl.ncclCommAbort(self.comm)

    def _launch(self, collective: Callable[..., int], *arguments: int) -> None:
        with self.lock:
            if self.aborted:
                raise RuntimeError("NCCL: the ranks have parted")
            self._check(collective(*arguments, self.comm, torch.cuda.current_stream().cuda_stream))

    def _check(self, result: int) -> None:
        if result:
            raise RuntimeError(f"NCCL: {self.nccl.ncclGetErrorString(result).decode()}: {self.nccl.ncclGetLastError(None).decode()}")
