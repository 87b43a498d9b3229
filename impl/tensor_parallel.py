"""Tensor parallelism: each rank has a part of every matrix, and all of them compute the same step.

Outputs are split (by columns) in front of the attention and of the activation, which take heads and numbers one by
one; inputs (by rows) behind them, and then one sum is due. So a layer has two all-reduces. The embedding has a third,
as each rank knows some of the tokens, and the logits are gathered. Everything else is computed by all ranks alike.
"""
import math
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed import Store

from impl.errors import InvalidConfigError, LostContactError
from impl.gloo import GlooCommunicator
from impl.layers import Embedding, Linear
from impl.nccl import NcclCommunicator

BY_OUTPUTS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "embed_tokens", "lm_head")
BY_INPUTS = ("o_proj", "down_proj")
SHARED_OUT = ("num_attention_heads", "num_key_value_heads", "intermediate_size")
MEETING = 60.0      # seconds, as a busy machine is slow to start what the ranks meet with


class Group:
    """The ranks that compute together, seen from one of them. Mirrors `distributed/parallel_state.py::GroupCoordinator`."""

    def __init__(self, rank: int, size: int, device: str):
        self.rank, self.size, self.device = rank, size, device      # "cpu" or "cuda"
        self.communicator: GlooCommunicator | NcclCommunicator | None = None
        self.parted = False

    def connect(self, store: Store, timeout: float) -> None:
        """Meet the others at `store`. `timeout`: seconds that a rank may let the others wait in a collective on the CPU.

        Raises `LostContactError`.
        """
        with _contact():
            if self.device == "cuda":
                self.communicator = NcclCommunicator(store, self.rank, self.size, MEETING, lambda: self.parted)
            else:
                self.communicator = GlooCommunicator(store, self.rank, self.size, MEETING, timeout)
            if self.parted:     # meanwhile
                raise RuntimeError("the ranks have parted")

    def abort(self) -> None:
        """Part: collectives on a GPU end, also those under way, and no more are possible. See `NcclCommunicator.abort`."""
        self.parted = True
        if self.communicator:
            self.communicator.abort()

    def patience(self, timeout: float) -> float:
        """Seconds for which a step may keep this rank waiting. On the CPU, gloo knows better: it looks at the clock in each collective."""
        return timeout if self.device == "cuda" else math.inf

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' `x`, at all ranks; in its memory. Raises `LostContactError`."""
        with _contact():
            self.communicator.all_reduce(x)
        return x

    def all_gather(self, x: torch.Tensor) -> torch.Tensor:
        """All ranks' `x` [rows, n], side by side: [rows, size * n], at all ranks. Raises `LostContactError`."""
        parts = x.new_empty(self.size, *x.shape)
        with _contact():
            self.communicator.all_gather(parts, x)
        return parts.movedim(0, -2).flatten(-2)

    def part(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """This rank's part of a tensor of the checkpoint: a copy, as the whole must not be kept alive by it."""
        module = name.removesuffix(".weight").rpartition(".")[2]
        if module in BY_OUTPUTS:
            return tensor.tensor_split(self.size, dim=0)[self.rank].clone()
        if module in BY_INPUTS:
            return tensor.tensor_split(self.size, dim=1)[self.rank].clone()
        return tensor


@contextmanager
def _contact():
    """torch says only RuntimeError when another rank has gone or does not come."""
    try:
        yield
    except RuntimeError as error:
        raise LostContactError(str(error)) from error


def part_of(config: dict, size: int) -> dict:
    """The configuration of one rank's model. The vocabulary stays the whole one: tokens are known by it.

    Raises `InvalidConfigError` for what cannot be divided. vLLM would give several ranks the same KV head, and pad the
    vocabulary; here both are refused.
    """
    if size < 1:
        raise InvalidConfigError(f"tensor_parallel_size={size}: must be at least 1")
    for name in (*SHARED_OUT, "vocab_size"):
        if config[name] % size:
            raise InvalidConfigError(f"tensor_parallel_size={size}: {name}={config[name]} of this model cannot be divided by it; choose a divisor")
    return config | {name: config[name] // size for name in SHARED_OUT}


class RowParallelLinear(Linear):
    """Split by inputs: from a part [rows, inputs / size] to the whole [rows, outputs].

    Mirrors `model_executor/layers/linear.py::RowParallelLinear`. (A product split by outputs is a smaller `Linear`, and nothing else.)
    """

    def __init__(self, part: Linear, group: Group):
        super().__init__(part.in_features, part.out_features)
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group.all_reduce(super().forward(x))


class VocabParallelEmbedding(Embedding):
    """Split by tokens: a rank looks up its own and has zeros for the others'.

    Mirrors `model_executor/layers/vocab_parallel_embedding.py::VocabParallelEmbedding`.
    """

    def __init__(self, whole: Embedding, group: Group):
        super().__init__(whole.num_embeddings // group.size, whole.embedding_dim)
        self.group = group

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        own = token_ids - self.group.rank * self.num_embeddings
        foreign = (own < 0) | (own >= self.num_embeddings)
        return self.group.all_reduce(super().forward(own.masked_fill(foreign, 0)).masked_fill(foreign[:, None], 0))


class ParallelLMHead(Linear):
    """Split by tokens: from [rows, hidden] to the logits of the whole vocabulary, at all ranks.

    Mirrors `model_executor/layers/logits_processor.py::LogitsProcessor._gather_logits`.
    """

    def __init__(self, whole: Linear, group: Group):
        super().__init__(whole.in_features, whole.out_features // group.size)
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group.all_gather(super().forward(x))


def parallelize(model: nn.Module, group: Group) -> None:
    """Put the collectives into a model without weights, built from `part_of` its configuration."""
    for layer in model.model.layers:
        layer.self_attn.o_proj = RowParallelLinear(layer.self_attn.o_proj, group)
        layer.mlp.down_proj = RowParallelLinear(layer.mlp.down_proj, group)
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    model.model.embed_tokens = VocabParallelEmbedding(model.model.embed_tokens, group)
    model.lm_head = ParallelLMHead(model.lm_head, group)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
