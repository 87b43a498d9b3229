"""The model runner: from a scheduling decision to sampled tokens.

It keeps the block tables and the KV cache; which tokens a request has, the request
knows. Mirrors `v1/worker/gpu_model_runner.py::GPUModelRunner.execute_model`.
"""
from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy
import torch

from impl.block_tables import BlockTables
from impl.layers import Linear
from impl.outputs import RUNNING, ScheduledRequest, SchedulerOutput
from impl.rejection_sampler import RejectionSampler
from impl.request import Request
from impl.sampler import Sampled, Sampler
from impl.threads import Threads


class ModelRunner:
    """`cache_dtype`: None is the model's own."""

    def __init__(self, model: torch.nn.Module, config: dict, num_blocks: int, block_size: int, sampler: Sampler,
                 cache_dtype: torch.dtype | None = None):
        self.model, self.block_size, self.sampler, self.ops = model, block_size, sampler, config["ops"]
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        # One cache per layer: [blocks, block size, key and value, KV heads, head_dim].
        shape = (num_blocks, block_size, 2, config["num_key_value_heads"], config["head_dim"])
        self.caches = [torch.zeros(shape, dtype=cache_dtype or weight.dtype, device=self.device) for _ in range(config["num_hidden_layers"])]
        self.window = {"sliding_window": config["sliding_window"]} if config["sliding_window"] else {}    # the kernels know none
        self.threads = Threads()
        self.num_products = sum(each.in_features * each.out_features for each in model.modules() if isinstance(each, Linear))     # per token
        self.block_tables = BlockTables()
        self.rejection_sampler = RejectionSampler(sampler)

    @torch.inference_mode()
    def execute(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> dict[str, Sampled]:
        """Compute the tokens of a step, and sample for each request whose tokens are all computed now."""
        self._follow(output)
        if not output.scheduled:
            return {}
        shares = sorted(output.scheduled, key=attrgetter("num_tokens", "num_computed_tokens"))     # who is alike is attended to together
        token_ids, batch = self._prepare(shares, requests)
        with self.threads.for_step(len(token_ids) * self.num_products):
            hidden = self.model(token_ids, self.caches, batch)
        self.sampler.prompt_logprobs.collect(shares, requests, batch.query_start, hidden, self.model.compute_logits)
        if any(share.spec_token_ids for share in shares):
            return self._verify(shares, requests, batch.query_start, hidden)
        done = [(row - 1, requests[share.request_id]) for share, row in zip(shares, batch.query_start[1:])
                if share.num_computed_tokens + share.num_tokens == requests[share.request_id].num_tokens]
        if not done:
            return {}
        rows, sampling = zip(*done)
        logits = self.model.compute_logits(hidden[list(rows)])
        for row, request in enumerate(sampling):
            if request.grammar:     # before the sampler: also the raw logprobs know nothing of what cannot come
                request.grammar.matcher.mask(logits[row:row + 1])
        return self.sampler(logits, list(sampling))

    def _verify(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], query_start: list[int],
                hidden: torch.Tensor) -> dict[str, Sampled]:
        """A step in which somebody has drafts: for each request the logits at its last token and at each of its drafts.

        Mirrors `v1/worker/gpu_model_runner.py::GPUModelRunner._calc_spec_decode_metadata`.
        """
        done = [(share, row) for share, row in zip(shares, query_start[1:])
                if share.num_computed_tokens + share.num_tokens - len(share.spec_token_ids) == requests[share.request_id].num_tokens]
        rows = [row for share, end in done for row in range(end - 1 - len(share.spec_token_ids), end)]
        return self.rejection_sampler(self.model.compute_logits(hidden[rows]), [requests[share.request_id] for share, _ in done],
                                      [share.spec_token_ids for share, _ in done])

    def _follow(self, output: SchedulerOutput) -> None:
        """Bring the block tables up to date."""
        for request_id in output.finished_req_ids:
            self.block_tables.drop(request_id)
        self.sampler.forget(output.finished_req_ids)
        for share in output.scheduled:
            if share.kind != RUNNING:   # whatever a preempted request had before is somebody else's now
                self.block_tables.put(share.request_id, share.new_block_ids)
            elif share.new_block_ids:
                self.block_tables.append(share.request_id, share.new_block_ids)

    def _prepare(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request]) -> tuple[torch.Tensor, object]:
        """The token ids [tokens] and places (an `ops.Batch`) of a step, all requests one after the other."""
        token_ids: list[int] = []
        for share in shares:
            token_ids += requests[share.request_id].token_ids[share.num_computed_tokens:share.num_computed_tokens + share.num_tokens]
            token_ids += [max(draft, 0) for draft in share.spec_token_ids]      # a placeholder has no embedding
        request_ids, _, num_new, num_computed, *_ = zip(*shares)
        batch = self.ops.Batch.at(numpy.array(num_new), numpy.array(num_computed), self.block_tables.of(request_ids), self.block_size,
                                  self.device, self.dtype, **self.window)
        return torch.tensor(token_ids, device=self.device), batch
