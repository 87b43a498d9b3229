"""The model runner: from a scheduling decision to sampled tokens.

It keeps the block tables and the KV cache; which tokens a request has, the request
knows. Mirrors `v1/worker/gpu_model_runner.py::GPUModelRunner.execute_model`.
"""
from collections.abc import Mapping

import torch

from impl.attention import AttentionBatch
from impl.outputs import RUNNING, SchedulerOutput
from impl.request import Request
from impl.sampler import Sampled, Sampler


class ModelRunner:
    def __init__(self, model: torch.nn.Module, config: dict, num_blocks: int, block_size: int):
        self.model, self.block_size = model, block_size
        weight = next(model.parameters())
        self.device = weight.device
        # One cache per layer: [keys and values, blocks, block size, KV heads, head_dim].
        shape = (2, num_blocks, block_size, config["num_key_value_heads"], config["head_dim"])
        self.caches = [torch.zeros(shape, dtype=weight.dtype, device=self.device) for _ in range(config["num_hidden_layers"])]
        self.block_tables: dict[str, list[int]] = {}
        self.sampler = Sampler()

    @torch.inference_mode()
    def execute(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> dict[str, Sampled]:
        """Compute the tokens of a step, and sample for each request whose tokens are all computed now."""
        self._follow(output)
        if not output.scheduled:
            return {}
        token_ids, positions, batch = self._prepare(output, requests)
        hidden = self.model(token_ids, positions, self.caches, batch)
        done = [(row - 1, requests[share.request_id]) for share, row in zip(output.scheduled, batch.query_start[1:])
                if share.num_computed_tokens + share.num_tokens == requests[share.request_id].num_tokens]
        if not done:
            return {}
        rows, sampling = zip(*done)
        return self.sampler(self.model.compute_logits(hidden[list(rows)]), list(sampling))

    def _follow(self, output: SchedulerOutput) -> None:
        """Bring the block tables up to date."""
        for request_id in output.finished_req_ids:
            self.block_tables.pop(request_id, None)
        self.sampler.forget(output.finished_req_ids)
        for share in output.scheduled:
            if share.kind == RUNNING:
                self.block_tables[share.request_id] += share.new_block_ids
            else:   # whatever a preempted request had before is somebody else's now
                self.block_tables[share.request_id] = list(share.new_block_ids)

    def _prepare(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> tuple[torch.Tensor, torch.Tensor, AttentionBatch]:
        """The token ids [tokens], positions [tokens] and places of a step, all requests one after the other."""
        token_ids, positions, slots, tables, query_start, seq_lens = [], [], [], [], [0], []
        for share in output.scheduled:
            first, last = share.num_computed_tokens, share.num_computed_tokens + share.num_tokens
            token_ids += requests[share.request_id].token_ids[first:last]
            positions += range(first, last)
            table = self.block_tables[share.request_id]
            slots += [table[position // self.block_size] * self.block_size + position % self.block_size for position in range(first, last)]
            tables.append(torch.tensor(table, device=self.device))
            query_start.append(query_start[-1] + share.num_tokens)
            seq_lens.append(last)
        tensor = {"dtype": torch.int64, "device": self.device}
        return (torch.tensor(token_ids, **tensor), torch.tensor(positions, **tensor),
                AttentionBatch(query_start, seq_lens, tables, torch.tensor(slots, **tensor)))
