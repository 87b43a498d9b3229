"""The model runner on a GPU: it hands a step to the device and does not wait for what comes of it.

The device does things in the order in which they are handed out, so the next step can be handed out at once: it finds the
newest tokens where the one before leaves them (`gpu_request_states.py`). Steps are CUDA graphs, those in which all requests decode
and, up to some thousand tokens, those with prompts (`mixed_step.py`); the others are launched kernel by kernel, which their many tokens
hide. Mirrors `v1/worker/gpu/model_runner.py::GPUModelRunner`.
"""
import gc
from collections.abc import Mapping, Sequence
from copy import copy

import numpy
import torch

from impl.config import SchedulerConfig
from impl.cuda_graphs import CudaGraphs, sizes
from impl.gpu_request_states import RequestStates
from impl.mixed_step import MixedStep
from impl.model_runner import ModelRunner
from impl.outputs import ScheduledRequest, SchedulerOutput
from impl.request import Request
from impl.sampler import BROKEN, Sampled
from impl.triton_ops import Batch
from impl.upload import upload
from kernels.decode_inputs import decode_inputs

NEWEST = -1     # in the place of a token: the one that the device has sampled last


class Handed:
    """A step that is handed out. Mirrors `v1/worker/gpu/async_utils.py::AsyncOutput`."""

    error = None

    def __init__(self, request_ids: Sequence[str], token_ids: torch.Tensor):
        """`token_ids`: int64 [requests] on the device; -1 where none could be chosen."""
        self.request_ids, self.done = request_ids, None
        if token_ids.is_cuda:
            self.token_ids = torch.empty(token_ids.shape, dtype=token_ids.dtype, pin_memory=True).copy_(token_ids, non_blocking=True)
            self.done = torch.cuda.Event()
            self.done.record()
        else:
            self.token_ids = token_ids

    def result(self) -> dict[str, Sampled]:
        """Wait for the step; what it sampled, by request id."""
        if self.done:
            self.done.synchronize()
        return {request_id: Sampled([token_id]) if token_id >= 0 else Sampled([], error=BROKEN)
                for request_id, token_id in zip(self.request_ids, self.token_ids.tolist())}


class Known:
    """A step whose outcome is here already, or the error that it ended with."""

    def __init__(self, sampled: dict[str, Sampled], error: Exception | None = None):
        self.sampled, self.error = sampled, error

    def result(self) -> dict[str, Sampled]:
        if self.error:
            raise self.error
        return self.sampled


class GPUModelRunner(ModelRunner):
    """Beside `execute`, there is `hand_out`. `enforce_eager`: no graphs. `shown`: the progress of capturing them."""

    def __init__(self, model: torch.nn.Module, model_config: dict, config: SchedulerConfig, sampler, cache_dtype: torch.dtype | None = None,
                 enforce_eager: bool = False, shown: bool = True):
        super().__init__(model, model_config, config.num_blocks, config.block_size, sampler, cache_dtype)
        self.states = RequestStates(config.max_num_seqs, -(-config.max_model_len // config.block_size), self.device)
        self.before: Handed | Known = Known({})     # the step handed out last
        # What a decode step is told, by request: its newest token or -1, its row, its tokens by now.
        self.inputs = torch.zeros((3, config.max_num_seqs), dtype=torch.int32, device=self.device)
        self.inputs[1] = self.states.padding
        self.graphs = CudaGraphs(sizes(config.max_num_seqs))
        self.mixed = MixedStep(self.states, config.max_num_seqs, config.max_num_batched_tokens, config.block_size)
        self.mixed_graphs = CudaGraphs(self.mixed.sizes)
        if self.device.type == "cuda" and not enforce_eager:
            with torch.inference_mode():
                pool = self.mixed_graphs.capture(self._mixed, "steps with prompts", shown=shown)
                self.graphs.capture(self._decode, "decode steps", pool, shown)
            # What is here stays, or the garbage collector would look through all of it now and then, in the middle of a step. So does vLLM (`freeze_gc_heap`).
            gc.collect()
            gc.freeze()

    def execute(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> dict[str, Sampled]:
        """Compute a step, and wait for it."""
        return self.hand_out(output, requests).result()

    def hand_out(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> Handed | Known:
        """Send a step to the device. An error is told with its result, as one of the device would be."""
        try:
            self.before = self._launch(output, requests)
        except Exception as error:
            self.before = Known({}, error)
        return self.before

    @torch.inference_mode()
    def _launch(self, output: SchedulerOutput, requests: Mapping[str, Request]) -> Handed | Known:
        self.sampler.forget(output.finished_req_ids)
        self.states.follow(output, requests, self.sampler.seed_of)
        if not output.scheduled:
            return Known({})
        shares = output.scheduled
        rows = self.states.rows_of(shares)
        num_new = numpy.array([share.num_tokens for share in shares])
        ends = numpy.array([share.num_computed_tokens for share in shares]) + num_new
        if any(share.spec_token_ids for share in shares):
            return self._verify_drafts(shares, requests, rows, num_new, ends)
        samples = ends == self.states.num_tokens[rows]      # all of its tokens are computed now
        if samples.all() and (num_new == 1).all():
            logits, token_ids, positions, device_rows = self._replay(shares, requests, rows, ends)
        else:
            order = numpy.lexsort((ends, num_new))          # who decodes, first; who is alike, together
            shares, rows, num_new, ends, samples = [shares[index] for index in order], rows[order], num_new[order], ends[order], samples[order]
            compute = self._replay_mixed if self._is_mixed_graph(shares, requests, num_new) else self._compute
            logits, token_ids, positions, device_rows = compute(shares, requests, rows, num_new, ends, samples)
        if not samples.any():
            return Known({})
        sampling, rows = [requests[share.request_id] for share, chosen in zip(shares, samples) if chosen], rows[samples]
        if not self.states.on_device[rows].all():
            return self._sample_here(logits, sampling, rows, device_rows)
        thinned = bool(self.states.thinned[rows].any())
        if thinned or token_ids is None:
            token_ids = self._draw(logits, positions, device_rows, thinned)
        self.states.num_tokens[rows] += 1
        return Handed([request.request_id for request in sampling], token_ids)

    def _replay(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], rows: numpy.ndarray,
                ends: numpy.ndarray) -> list[torch.Tensor]:
        """A step in which all decode. Of each request: logits [vocabulary], the token that is drawn if all are let in, position and row (int64)."""
        told = numpy.zeros((3, self.inputs.shape[1]), dtype=numpy.int32)
        told[1] = self.states.padding
        told[:, :len(rows)] = self._token_ids(shares, requests, ends), rows, ends
        self.inputs.copy_(upload([told], self.device)[0])
        return [result[:len(rows)] for result in self.graphs.run(self.graphs.size_for(len(rows)), self._decode)]

    @staticmethod
    def _token_ids(shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], ends: numpy.ndarray) -> list[int]:
        """All tokens of a step, one request after the other. Where the processor lacks one, it is the last of its request."""
        token_ids: list[int] = []
        for share, end in zip(shares, ends.tolist()):
            known, end = requests[share.request_id].token_ids, end - len(share.spec_token_ids)
            token_ids += known[share.num_computed_tokens:end]
            token_ids += [max(draft, 0) for draft in share.spec_token_ids] if len(known) >= end else [NEWEST]     # a placeholder has no embedding
        return token_ids

    def _decode(self, size: int) -> tuple[torch.Tensor, ...]:
        """The first `size` of `inputs`; see `_replay`."""
        tokens, rows, seq_lens = self.inputs[:, :size]
        token_ids, positions, slots, tables = decode_inputs(tokens, rows, seq_lens, self.states.newest, self.states.tables, self.block_size)
        none = seq_lens[:0]
        hidden = self.model(token_ids, self.caches, Batch([], size, positions, slots, seq_lens, tables, none, tables[:0], none))
        logits, rows = self.model.compute_logits(hidden), rows.long()
        return logits, self._draw(logits, positions, rows), positions, rows

    def _draw(self, logits: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor, thinned: bool = False) -> torch.Tensor:
        """Tokens int64 [requests], which the next step begins with; -1 where none can be chosen: any then, as the request is about to end."""
        token_ids = self.sampler.draw(logits, self.states.sampling, rows, positions, thinned)
        self.states.newest.index_copy_(0, rows, token_ids.clamp(min=0))
        return token_ids

    def _is_mixed_graph(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], num_new: numpy.ndarray) -> bool:
        """Whether there is a graph for a step with prompts. Who asks for a prompt's logprobs wants more of it than a graph tells."""
        return bool(self.mixed_graphs.graphs) and self.mixed.holds(num_new) and all(
            requests[share.request_id].sampling_params.prompt_logprobs is None for share in shares)

    def _replay_mixed(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], rows: numpy.ndarray, num_new: numpy.ndarray,
                      ends: numpy.ndarray, samples: numpy.ndarray) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, torch.Tensor]:
        """A step with prompts. Of those who sample, as `_replay`; logits only if more is to be done with them."""
        self.mixed.tell(num_new, ends, rows, samples, self._token_ids(shares, requests, ends))
        results = self.mixed_graphs.run(self.mixed_graphs.size_for(num_new.sum()), self._mixed)
        hidden, token_ids, positions, device_rows = (result[:samples.sum()] for result in results)
        rows = rows[samples]
        more = self.states.thinned[rows].any() or not self.states.on_device[rows].all()
        return self.model.compute_logits(hidden) if more else None, token_ids, positions, device_rows

    def _mixed(self, size: int) -> tuple[torch.Tensor, ...]:
        """The first `size` tokens of `mixed`; see `_replay_mixed`. Hidden states in the place of logits, which would take memory in each graph."""
        token_ids, batch, last, rows = self.mixed.read(size)
        hidden, positions = self.model(token_ids, self.caches, batch)[last], batch.positions[last]
        return hidden, self._draw(self.model.compute_logits(hidden), positions, rows), positions, rows

    def _compute(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], rows: numpy.ndarray, num_new: numpy.ndarray,
                 ends: numpy.ndarray, samples: numpy.ndarray) -> tuple[torch.Tensor | None, None, torch.Tensor, torch.Tensor]:
        """Any step, kernel by kernel. Of those who sample, as `_replay`, but no token is drawn yet."""
        hidden, _ = self._forward(shares, requests, rows, num_new, ends)
        last = num_new.cumsum() - 1     # of each request, the token that tells what comes next
        chosen, positions, device_rows = upload([last[samples], (ends - 1)[samples], rows[samples]], self.device)
        return self.model.compute_logits(hidden[chosen]) if samples.any() else None, None, positions, device_rows

    def _verify_drafts(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], rows: numpy.ndarray, num_new: numpy.ndarray,
                       ends: numpy.ndarray) -> Known:
        """A step in which somebody has drafts. How many tokens it says is not known before it has said them, so it is waited for."""
        order = numpy.lexsort((ends, num_new))
        shares = [shares[index] for index in order]
        sampled = self._verify(shares, requests, *self._forward(shares, requests, rows[order], num_new[order], ends[order])[::-1])
        for request_id, new in sampled.items():
            self.states.num_tokens[self.states.row[request_id]] += len(new.token_ids)
        return Known(sampled)

    def _forward(self, shares: Sequence[ScheduledRequest], requests: Mapping[str, Request], rows: numpy.ndarray, num_new: numpy.ndarray,
                 ends: numpy.ndarray) -> tuple[torch.Tensor, list[int]]:
        """Hidden states [tokens, hidden size], and where each request's begin."""
        used = -(-int(ends.max()) // self.block_size)
        batch = Batch.at(num_new, ends - num_new, self.states.host_tables[rows, :used], self.block_size, self.device, self.dtype)
        tokens, owners = upload([numpy.array(self._token_ids(shares, requests, ends)), numpy.repeat(rows, num_new)], self.device)
        hidden = self.model(torch.where(tokens < 0, self.states.newest[owners], tokens), self.caches, batch)
        self.sampler.prompt_logprobs.collect(shares, requests, batch.query_start, hidden, self.model.compute_logits)
        return hidden, batch.query_start

    def _sample_here(self, logits: torch.Tensor, sampling: Sequence[Request], rows: numpy.ndarray, device_rows: torch.Tensor) -> Known:
        """Who looks at what was said before, or wants to be told of more than a token: the processor needs the tokens in flight for that."""
        whole = []
        for index, (request, num_tokens) in enumerate(zip(sampling, self.states.num_tokens[rows].tolist())):
            if request.num_tokens < num_tokens:
                before = self.before.result()
                request = copy(request)
                request.token_ids = request.token_ids + (before[request.request_id].token_ids or [0])
            if request.grammar:
                request.grammar.matcher.mask(logits[index:index + 1])
            whole.append(request)
        sampled = self.sampler(logits, whole)
        chosen = [(sampled[request.request_id].token_ids or [0])[0] for request in sampling]    # of whom none could be chosen, any: it is about to end
        self.states.newest.index_copy_(0, device_rows, upload([numpy.array(chosen)], self.device)[0])
        self.states.num_tokens[rows] += 1
        return Known(sampled)
