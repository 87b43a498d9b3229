"""What decoders are made of: normalisation, rotary positions, the gated feed-forward network."""
import math

import torch
from torch import nn
from torch.nn import functional


class Linear(nn.Linear):
    """A matrix product, without bias: [rows, inputs] to [rows, outputs].

    Mirrors `model_executor/layers/linear.py`.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)
        self.packed: torch.Tensor | None = None

    @classmethod
    def stack(cls, *parts: "Linear") -> "Linear":
        """One product in the place of several of the same input, whose outputs then stand side by side."""
        with torch.device("meta"):
            whole = cls(parts[0].in_features, sum(part.out_features for part in parts))
        whole.weight = nn.Parameter(torch.cat([part.weight for part in parts]), requires_grad=False)
        return whole

    def pack(self) -> None:
        """Give a large float32 weight on the CPU the order in which oneDNN reads it: products of a few rows take half the time.

        A small one would lose more by oneDNN's longer way than it wins.
        Mirrors `model_executor/layers/utils.py::dispatch_cpu_unquantized_gemm`.
        """
        weight = self.weight
        if weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() > 1 << 17 and torch.backends.mkldnn.is_available():
            self.packed, self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed is None:
            return functional.linear(x, self.weight)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")


class RMSNorm(nn.Module):
    """Scale each vector to a root mean square of one, then by a learned weight.

    Computed in float32 whatever the weights are.
    Mirrors `model_executor/layers/layernorm.py::RMSNorm`.
    """

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        scale = (wide * wide).mean(-1, keepdim=True).add_(self.eps).rsqrt_()
        return (wide * scale).to(x.dtype) * self.weight


class RotaryEmbedding(nn.Module):
    """Turn pairs of coordinates by an angle that grows with the position.

    Coordinate i is paired with i + head_dim/2 (the NeoX way, not its neighbour).
    Mirrors `model_executor/layers/rotary_embedding`.
    """

    def __init__(self, head_dim: int, max_position: int, rope: dict):
        super().__init__()
        with torch.device("cpu"):   # a table, not a weight: it is there before the checkpoint is
            angles = torch.outer(torch.arange(max_position, dtype=torch.float32), inverse_frequencies(head_dim, rope))
            cos, sin = angles.cos(), angles.sin()
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)    # float32 [max_position, head_dim]
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)

    def forward(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """What `rotate` wants for `positions` [tokens], each [tokens, 1, head_dim]. All layers share it."""
        return self.cos[positions].unsqueeze(1).to(dtype), self.sin[positions].unsqueeze(1).to(dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn `x` [tokens, heads, head_dim]: the halves (a, b) become (a cos - b sin, b cos + a sin). The table has the minus."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


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

    def __init__(self, hidden: int, intermediate: int):
        super().__init__()
        self.gate_proj = Linear(hidden, intermediate)
        self.up_proj = Linear(hidden, intermediate)
        self.down_proj = Linear(intermediate, hidden)

    def prepare(self) -> None:
        """Once the weights are there."""
        self.gate_up_proj = Linear.stack(self.gate_proj, self.up_proj)
        del self.gate_proj, self.up_proj

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(functional.silu(gate) * up)
