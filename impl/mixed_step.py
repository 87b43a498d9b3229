"""What a step with prompts is about, where a CUDA graph finds it.

To launch the kernels of such a step one by one takes the processor longer than a GPU needs for a few hundred tokens, and the
first token of a request is late by that. So these steps are graphs as well, one for each of some numbers of tokens, and like
those of decode steps they read from places that never move. There is room in each for all requests that can run: behind
those that take part stands padding, which reads nothing and writes nothing.

vLLM's graphs of such steps leave attention out, so that a step is a graph for each piece of the model between two attentions,
and on a Hopper GPU they end at 512 tokens (`v1/worker/gpu/cudagraph_utils.py::CudaGraphManager`, `config/vllm.py::VllmConfig._set_cudagraph_sizes`).
"""
import numpy
import torch

from impl.attention import places
from impl.cuda_graphs import token_sizes
from impl.gpu_request_states import RequestStates
from impl.triton_ops import Batch
from impl.upload import ALIGNED, upload

MOST_PREFILLS = 16      # requests with more than one token; in each step, there are programs for all of them


class MixedStep:
    """The inputs of a step of any kind, as one int32 buffer on the device. Requests that decode come first."""

    def __init__(self, states: RequestStates, max_num_seqs: int, most_tokens: int, block_size: int):
        self.states, self.block_size, self.max_prefills = states, block_size, min(max_num_seqs, MOST_PREFILLS)
        self.sizes = token_sizes(most_tokens)
        nobody, per_token = states.padding, self.sizes[-1]
        self.parts: dict[str, slice] = {}
        padding: list[numpy.ndarray] = []
        for name, length, value in (("tokens", per_token, 0), ("owners", per_token, nobody), ("positions", per_token, 0), ("slots", per_token, -1),
                                    ("decode_rows", max_num_seqs, nobody), ("decode_lens", max_num_seqs, 0),
                                    ("prefill_rows", self.max_prefills, nobody), ("prefill_lens", self.max_prefills, 0), ("prefill_start", self.max_prefills + 1, 0),
                                    ("last", max_num_seqs, 0), ("sampling_rows", max_num_seqs, nobody)):
            start = sum(map(len, padding))
            self.parts[name] = slice(start, start + length)
            padding.append(numpy.full(-(-length // ALIGNED) * ALIGNED, value, dtype=numpy.int32))
        self.nothing = numpy.concatenate(padding)       # a step in which nobody takes part
        self.buffer = upload([self.nothing], states.device)[0].clone()

    def holds(self, num_new: numpy.ndarray) -> bool:
        """Whether there is room for requests with so many new tokens each."""
        return num_new.sum() <= self.sizes[-1] and (num_new > 1).sum() <= self.max_prefills

    def tell(self, num_new: numpy.ndarray, ends: numpy.ndarray, rows: numpy.ndarray, samples: numpy.ndarray, token_ids: list[int]) -> None:
        """What the next step is about. Of each request: new tokens, tokens by then, its row, and whether it samples. `token_ids`: all new ones; -1 is the newest of its request."""
        used = -(-int(ends.max()) // self.block_size)
        query_start, positions, slots = places(num_new, ends - num_new, self.states.host_tables[rows, :used], self.block_size)
        decodes = int((num_new == 1).cumprod().sum())
        told = self.nothing.copy()
        told[self.parts["prefill_start"]] = query_start[-1]
        for name, values in {"tokens": token_ids, "owners": numpy.repeat(rows, num_new), "positions": positions, "slots": slots,
                             "decode_rows": rows[:decodes], "decode_lens": ends[:decodes], "prefill_rows": rows[decodes:], "prefill_lens": ends[decodes:],
                             "prefill_start": query_start[decodes:], "last": query_start[1:][samples] - 1, "sampling_rows": rows[samples]}.items():
            told[self.parts[name]][:len(values)] = values
        self.buffer.copy_(upload([told], self.buffer.device)[0])

    def read(self, size: int) -> tuple[torch.Tensor, Batch, torch.Tensor, torch.Tensor]:
        """On the device, of `size` tokens: the token ids [size] and their batch; of each request that samples, its last token's place and its row: int64 [max_num_seqs]."""
        told = {name: self.buffer[part] for name, part in self.parts.items()}
        tokens, owners, positions, slots = (told[name][:size] for name in ("tokens", "owners", "positions", "slots"))
        decodes, states = min(size, len(told["decode_lens"])), self.states
        batch = Batch([], decodes, positions.long(), slots.long(), told["decode_lens"][:decodes], states.tables[told["decode_rows"][:decodes]],
                      told["prefill_lens"], states.tables[told["prefill_rows"]], told["prefill_start"])
        return torch.where(tokens < 0, states.newest[owners], tokens), batch, told["last"].long(), told["sampling_rows"].long()
