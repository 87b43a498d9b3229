"""Every rank has a part of each matrix. Columns are split in front of the activation, rows behind it, and then one sum is due."""
import torch
import torch.nn.functional as F


class Group:  # given
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


def silu_and_mul(x: torch.Tensor) -> torch.Tensor:  # given
    """silu(the first half) * the second half, of the last dimension."""
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


class ColumnParallelLinear:
    """weight [out, in] split by outputs: rank r has [out / size, in] of it, and that part of the bias [out].

    `weights` has the part of every rank. Raises `ValueError` if out cannot be divided by the number of ranks.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, group: Group, gather_output: bool = False):
        self.weights = _split(weight, 0, group)
        self.biases = [None] * group.size if bias is None else _split(bias, 0, group)
        self.group, self.gather_output = group, gather_output

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the whole x [num_tokens, in] at every rank to [num_tokens, out / size], or all of out with gather_output."""
        outs = [F.linear(x, weight, bias) for x, weight, bias in zip(xs, self.weights, self.biases)]
        return self.group.all_gather(outs) if self.gather_output and self.group.size > 1 else outs


class MergedColumnParallelLinear:
    """Several weights [out_i, in] as one: rank r has its part of the first, below that its part of the second, and so on.

    `weights` has what every rank has. Raises `ValueError` if some out_i cannot be divided by the number of ranks.
    """

    def __init__(self, weights: list[torch.Tensor], group: Group):
        self.weights = [torch.cat(parts) for parts in zip(*(_split(weight, 0, group) for weight in weights))]

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the whole x [num_tokens, in] at every rank to [num_tokens, sum of out_i / size]."""
        return [F.linear(x, weight) for x, weight in zip(xs, self.weights)]


class RowParallelLinear:
    """weight [out, in] split by inputs: rank r has [out, in / size] of it. The bias [out] counts once.

    `weights` has the part of every rank. Raises `ValueError` if in cannot be divided by the number of ranks.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, group: Group):
        self.weights = _split(weight, 1, group)
        self.bias, self.group = bias, group

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """From rank r's part [num_tokens, in / size] of x to the whole output [num_tokens, out] at every rank."""
        outs = [F.linear(x, weight, self.bias if rank == 0 else None) for rank, (x, weight) in enumerate(zip(xs, self.weights))]
        return self.group.all_reduce(outs) if self.group.size > 1 else outs


class VocabParallelEmbedding:
    """weight [vocab_size, size] split by tokens: every rank has as many rows, the last ones padded with zeros.

    `weights` has the part of every rank, [ceil(vocab_size / ranks), size] each.
    """

    def __init__(self, weight: torch.Tensor, group: Group):
        self.rows = -(-len(weight) // group.size)
        padded = F.pad(weight, (0, 0, 0, self.rows * group.size - len(weight)))
        self.weights, self.group = _split(padded, 0, group), group

    def forward(self, token_ids: list[torch.Tensor]) -> list[torch.Tensor]:
        """From the same token ids, int64 [num_tokens], at every rank to their embeddings [num_tokens, size] at every rank."""
        outs = []
        for rank, (ids, weight) in enumerate(zip(token_ids, self.weights)):
            own = ids - rank * self.rows
            foreign = (own < 0) | (own >= self.rows)
            outs.append(weight[own.masked_fill(foreign, 0)].masked_fill(foreign[:, None], 0))
        return self.group.all_reduce(outs) if self.group.size > 1 else outs


def feed_forward(xs: list[torch.Tensor], gate_up: MergedColumnParallelLinear, down: RowParallelLinear) -> list[torch.Tensor]:
    """down(silu(gate(x)) * up(x)) at every rank, from the whole x at every rank."""
    return down.forward([silu_and_mul(x) for x in gate_up.forward(xs)])


def _split(tensor: torch.Tensor, dim: int, group: Group) -> list[torch.Tensor]:
    """Equal parts, a copy each: a rank must not keep the whole alive."""
    if tensor.shape[dim] % group.size:
        raise ValueError(f"{tensor.shape[dim]} cannot be divided by {group.size} ranks")
    return [part.clone() for part in tensor.chunk(group.size, dim)]
