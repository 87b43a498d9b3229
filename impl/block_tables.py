"""The block tables as the model runner keeps them: one array that is changed in place, a row for each request.

Mirrors `v1/worker/block_table.py::BlockTable`.
"""
from collections.abc import Sequence

import numpy


class BlockTables:
    def __init__(self):
        self.array = numpy.zeros((16, 16), dtype=numpy.int64)   # [rows, blocks]; twice as large when it is too small
        self.row: dict[str, int] = {}
        self.length: dict[str, int] = {}
        self.free_rows = list(range(16))

    def put(self, request_id: str, block_ids: Sequence[int]) -> None:
        """A request's whole table, whatever it had before."""
        if request_id not in self.row:
            if not self.free_rows:
                self.free_rows = list(range(len(self.array), 2 * len(self.array)))
                self.array = numpy.pad(self.array, ((0, len(self.array)), (0, 0)))
            self.row[request_id] = self.free_rows.pop()
        self.length[request_id] = 0
        self.append(request_id, block_ids)

    def append(self, request_id: str, block_ids: Sequence[int]) -> None:
        """More blocks for a request that has some."""
        start = self.length[request_id]
        end = self.length[request_id] = start + len(block_ids)
        while end > self.array.shape[1]:
            self.array = numpy.pad(self.array, ((0, 0), (0, self.array.shape[1])))
        self.array[self.row[request_id], start:end] = block_ids

    def drop(self, request_id: str) -> None:
        """Forget a request; one that is not known was never scheduled."""
        if request_id in self.row:
            self.free_rows.append(self.row.pop(request_id))
            del self.length[request_id]

    def of(self, request_ids: Sequence[str]) -> numpy.ndarray:
        """The tables of some requests: int64 [requests, blocks]. Beyond its end, a row holds blocks that mean nothing."""
        longest = max(self.length[request_id] for request_id in request_ids)
        return self.array[[self.row[request_id] for request_id in request_ids], :longest]
