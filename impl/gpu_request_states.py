"""What the device keeps of each request that runs, a row for each: its newest token, its block table, how it samples.

A step then says who takes part, and little else goes to the device: new blocks, and new requests. The newest token need
not even be known to the processor. Mirrors `v1/worker/gpu/states.py::RequestState`, `v1/worker/gpu/block_table.py::BlockTables`
and `v1/worker/gpu/sample/states.py::SamplingStates`.
"""
from collections.abc import Mapping, Sequence

import numpy
import torch

from impl.logits_processors import reshapes
from impl.outputs import RUNNING, ScheduledRequest, SchedulerOutput
from impl.request import Request
from impl.upload import ALIGNED, upload

SAMPLING = {"temperature": numpy.float32, "top_p": numpy.float32, "min_p": numpy.float32, "top_k": numpy.int32, "seed": numpy.int64}


class RequestStates:
    """`max_num_seqs` rows, and one more that padding points at. On the device: `newest` int64 [rows], `tables` int32 [rows, blocks],
    and `sampling`, by name a tensor [rows] each. The rest is the processor's."""

    def __init__(self, max_num_seqs: int, max_blocks: int, device: torch.device):
        rows = max_num_seqs + 1
        self.device, self.padding = device, max_num_seqs
        self.row: dict[str, int] = {}
        self.free_rows = list(range(max_num_seqs))
        self.num_tokens = numpy.zeros(rows, dtype=numpy.int64)          # as the device knows them: those in flight included
        self.num_blocks = numpy.zeros(rows, dtype=numpy.int64)
        self.on_device = numpy.zeros(rows, dtype=bool)                  # it samples there, and nobody waits for it
        self.thinned = numpy.zeros(rows, dtype=bool)                    # it asks for top-k, top-p or min-p
        self.host_tables = numpy.zeros((rows, -(-max_blocks // ALIGNED) * ALIGNED), dtype=numpy.int32)
        self.tables = torch.zeros(self.host_tables.shape, dtype=torch.int32, device=device)
        self.newest = torch.zeros(rows, dtype=torch.int64, device=device)
        self.sampling = {name: torch.zeros(rows, dtype=getattr(torch, dtype.__name__), device=device) for name, dtype in SAMPLING.items()}

    def follow(self, output: SchedulerOutput, requests: Mapping[str, Request], seed_of) -> None:
        """Bring the rows up to date with a decision. `seed_of`: what a request draws by, 64 bits."""
        for request_id in (*output.preempted_req_ids, *output.finished_req_ids):    # whatever a preempted request had is somebody else's now
            self._drop(request_id)
        admitted: list[int] = []
        settings: list[tuple] = []
        where: list[numpy.ndarray] = []     # in the flat tables
        blocks: list[int] = []
        for share in output.scheduled:
            if share.kind != RUNNING:
                request = requests[share.request_id]
                admitted.append(self._admit(request))
                params = request.sampling_params
                settings.append((params.temperature, params.top_p, params.min_p, params.top_k, seed_of(request)))
            if share.new_block_ids:
                row, count = self.row[share.request_id], len(share.new_block_ids)
                start = self.num_blocks[row]
                self.host_tables[row, start:start + count] = share.new_block_ids
                self.num_blocks[row] += count
                where.append(row * self.host_tables.shape[1] + numpy.arange(start, start + count))
                blocks += share.new_block_ids
        if blocks:
            places, ids = upload([numpy.concatenate(where), numpy.array(blocks, dtype=numpy.int32)], self.device)
            self.tables.view(-1).index_copy_(0, places, ids)
        if admitted:
            rows, *columns = upload([numpy.array(admitted, dtype=numpy.int64), *(numpy.array(column, dtype=dtype) for column, dtype in
                                                                                zip(zip(*settings), SAMPLING.values()))], self.device)
            for tensor, column in zip(self.sampling.values(), columns):
                tensor.index_copy_(0, rows, column)

    def rows_of(self, shares: Sequence[ScheduledRequest]) -> numpy.ndarray:
        """int64 [requests]."""
        row = self.row
        return numpy.array([row[share.request_id] for share in shares], dtype=numpy.int64)

    def _admit(self, request: Request) -> int:
        row = self.row[request.request_id] = self.free_rows.pop()
        params = request.sampling_params
        self.num_tokens[row], self.num_blocks[row] = request.num_tokens, 0
        self.on_device[row] = params.logprobs is None and params.prompt_logprobs is None and request.grammar is None and not reshapes(params)
        self.thinned[row] = params.temperature > 0 and (params.top_k > 0 or params.top_p < 1 or params.min_p > 0)
        return row

    def _drop(self, request_id: str) -> None:
        """Forget a request; one that is not known was never scheduled."""
        if (row := self.row.pop(request_id, None)) is not None:
            self.free_rows.append(row)
