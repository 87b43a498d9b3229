"""Gloo, for ranks on the CPU: each waits in a collective until it is done, or for the others' time to be up."""
from datetime import timedelta

import torch
from torch.distributed import ProcessGroupGloo, Store

LOOPBACK = "127.0.0.1"


class GlooCommunicator:
    """Rank `rank` of `size`. Raises `RuntimeError` when another rank has gone or does not come.

    The ranks meet at `store`, within `patience` seconds; in a collective, `timeout` seconds are how long one may let the others wait.
    """

    def __init__(self, store: Store, rank: int, size: int, patience: float, timeout: float):
        options = ProcessGroupGloo._Options()
        options._timeout = timedelta(seconds=patience)
        options._devices = [ProcessGroupGloo.create_device(hostname=LOOPBACK)]
        self.ranks = ProcessGroupGloo(store, rank, size, options)
        self.ranks._set_default_timeout(timedelta(seconds=timeout))

    def all_reduce(self, x: torch.Tensor) -> None:
        """The sum of all ranks' `x`, in its memory."""
        self.ranks.allreduce([x]).wait()

    def all_gather(self, parts: torch.Tensor, x: torch.Tensor) -> None:
        """All ranks' `x`, one after the other, into `parts` [size, *x.shape]."""
        self.ranks.allgather([list(parts.unbind())], [x]).wait()

    def abort(self) -> None:
        """Nothing: whoever waits here, waits for `timeout` seconds at the most."""
