"""What decoders are made of: normalisation, rotary positions, the gated feed-forward network.

The products of matrices are torch's. The rest is done by `ops`: `torch_ops.py` or `triton_ops.py`, whichever the model was built with.
"""
import math
from types import ModuleType

import torch
from torch import nn


class Linear(nn.Linear):
    """A matrix product, without bias: [rows, inputs] to [rows, outputs].

    Mirrors `model_executor/layers/linear.py`.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)
        self.packed: torch.Tensor | None = None
        self.ops: ModuleType | None = None

    def reset_parameters(self) -> None:
        """The checkpoint fills it. On the meta device, random numbers would only cost the second in which torch imports what they need."""

    @classmethod
    def stack(cls, *parts: "Linear") -> "Linear":
        """One product in the place of several of the same input, whose outputs then stand side by side."""
        with torch.device("meta"):
            whole = cls(parts[0].in_features, sum(part.out_features for part in parts))
        whole.weight = nn.Parameter(torch.cat([part.weight for part in parts]), requires_grad=False)
        return whole

    def pack(self, ops: ModuleType) -> None:
        """Once the weight is what it will be. Give a large float32 weight on the CPU the order in which oneDNN reads it: products of a few rows take half the time.

        A small one would lose more by oneDNN's longer way than it wins.
        Mirrors `model_executor/layers/utils.py::dispatch_cpu_unquantized_gemm`.
        """
        self.ops, weight = ops, self.weight
        if weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() > 1 << 17 and torch.backends.mkldnn.is_available():
            self.packed, self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed is None:
            return self.ops.linear(x, self.weight)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")


class Embedding(nn.Embedding):
    """A vector for each token. Mirrors `model_executor/layers/vocab_parallel_embedding.py`."""

    def reset_parameters(self) -> None:
        """As of `Linear`."""


class RMSNorm(nn.Module):
    """Scale each vector to a root mean square of one, then by a learned weight.

    Computed in float32 whatever the weights are.
    Mirrors `model_executor/layers/layernorm.py::RMSNorm`.
    """

    def __init__(self, size: int, eps: float, ops: ModuleType):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps, self.ops = eps, ops

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The norm of `x` + `residual`, and this sum: what flows past the next layer. Both may lie in the memory of the arguments."""
        if residual is None:    # at the beginning of the model
            return self.ops.rms_norm(x, self.weight, self.eps), x
        return self.ops.add_rms_norm(x, residual, self.weight, self.eps)


class RotaryEmbedding(nn.Module):
    """Turn pairs of coordinates by an angle that grows with the position.

    Coordinate i is paired with i + head_dim/2 (the NeoX way, not its neighbour).
    Mirrors `model_executor/layers/rotary_embedding`.
    """

    def __init__(self, head_dim: int, max_position: int, rope: dict, ops: ModuleType):
        super().__init__()
        self.ops = ops
        with torch.device("cpu"):   # a table, not a weight: it is there before the checkpoint is
            angles = torch.outer(torch.arange(max_position, dtype=torch.float32), inverse_frequencies(head_dim, rope))
            self.register_buffer("table", ops.rotary_table(angles.cos(), angles.sin()), persistent=False)

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """What `ops.norm_rotate_write` wants for `positions` [tokens]. All layers share it."""
        return self.ops.look_up(self.table, positions)


def inverse_frequencies(head_dim: int, rope: dict) -> torch.Tensor:
    """How fast each pair turns, in radians per position: float32 [head_dim / 2].

    `rope_type` "llama3" slows down the slow pairs by `factor`, leaves the fast ones
    and blends in between.
    Mirrors `model_executor/layers/rotary_embedding/llama3_rope.py`.
    """
    frequencies = 1.0 / rope["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    if rope.get("rope_type", "default") != "llama3":
        return frequencies
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)   # within the original context
    fast = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * (fast + (1 - fast) / factor)


class GatedMLP(nn.Module):
    """SiLU-gated feed-forward network. Mirrors `model_executor/models/llama.py::LlamaMLP`."""

    def __init__(self, hidden: int, intermediate: int, ops: ModuleType):
        super().__init__()
        self.ops = ops
        self.gate_proj = Linear(hidden, intermediate)
        self.up_proj = Linear(hidden, intermediate)
        self.down_proj = Linear(intermediate, hidden)

    def prepare(self) -> None:
        """Once the weights are there."""
        self.gate_up_proj = Linear.stack(self.gate_proj, self.up_proj)
        del self.gate_proj, self.up_proj

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.ops.silu_and_mul(self.gate_up_proj(x)))
