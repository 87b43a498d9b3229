"""Tensor-parallel layers: your answer. The problem is in drills/classics/tensor_parallel_linear/README.md."""
import torch
import torch.nn.functional as F


class Group:
    """The ranks that work together, and what they say to each other. A list has the tensors of all ranks, in order."""

    def __init__(self, size: int):
        self.size = size
        self.all_reduces = self.all_gathers = 0

    def all_reduce(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        """The sum of all parts, for every rank."""
        self.all_reduces += 1
        return [torch.stack(parts).sum(0) for _ in range(self.size)]

    def all_gather(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        """All parts after each other in the last dimension, for every rank."""
        self.all_gathers += 1
        return [torch.cat(parts, -1) for _ in range(self.size)]


def silu_and_mul(x: torch.Tensor) -> torch.Tensor:
    """silu(the first half) * the second half, of the last dimension."""
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


class ColumnParallelLinear:
    """weight [out, in] split by outputs: rank r has [out / size, in] of it, and that part of the bias [out].

    `weights` has the part of every rank. Raises `ValueError` if out cannot be divided by the number of ranks.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, group: Group, gather_output: bool = False):
        raise NotImplementedError("tensor_parallel_linear: ColumnParallelLinear.__init__ is not written yet")

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the whole x [num_tokens, in] at every rank to [num_tokens, out / size], or all of out with gather_output."""
        raise NotImplementedError("tensor_parallel_linear: ColumnParallelLinear.forward is not written yet")


class MergedColumnParallelLinear:
    """Several weights [out_i, in] as one: rank r has its part of the first, below that its part of the second, and so on.

    `weights` has what every rank has. Raises `ValueError` if some out_i cannot be divided by the number of ranks.
    """

    def __init__(self, weights: list[torch.Tensor], group: Group):
        raise NotImplementedError("tensor_parallel_linear: MergedColumnParallelLinear.__init__ is not written yet")

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the whole x [num_tokens, in] at every rank to [num_tokens, sum of out_i / size]."""
        raise NotImplementedError("tensor_parallel_linear: MergedColumnParallelLinear.forward is not written yet")


class RowParallelLinear:
    """weight [out, in] split by inputs: rank r has [out, in / size] of it. The bias [out] counts once.

    `weights` has the part of every rank. Raises `ValueError` if in cannot be divided by the number of ranks.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, group: Group):
        raise NotImplementedError("tensor_parallel_linear: RowParallelLinear.__init__ is not written yet")

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From rank r's part [num_tokens, in / size] of x to the whole output [num_tokens, out] at every rank."""
        raise NotImplementedError("tensor_parallel_linear: RowParallelLinear.forward is not written yet")


class VocabParallelEmbedding:
    """weight [vocab_size, size] split by tokens: every rank has as many rows, the last ones padded with zeros.

    `weights` has the part of every rank, [ceil(vocab_size / ranks), size] each.
    """

    def __init__(self, weight: torch.Tensor, group: Group):
        raise NotImplementedError("tensor_parallel_linear: VocabParallelEmbedding.__init__ is not written yet")

    def forward(self, token_ids: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the same token ids, int64 [num_tokens], at every rank to their embeddings [num_tokens, size] at every rank."""
        raise NotImplementedError("tensor_parallel_linear: VocabParallelEmbedding.forward is not written yet")


def feed_forward(xs: list[torch.Tensor], gate_up: MergedColumnParallelLinear, down: RowParallelLinear) -> list[torch.Tensor]:
    """down(silu(gate(x)) * up(x)) at every rank, from the whole x at every rank."""
    raise NotImplementedError("tensor_parallel_linear: feed_forward is not written yet")
