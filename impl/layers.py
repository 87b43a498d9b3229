"""What decoders are made of: normalisation, rotary positions, the gated feed-forward network."""
import math

import torch
from torch import nn
from torch.nn import functional


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
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return wide.to(x.dtype) * self.weight


class RotaryEmbedding(nn.Module):
    """Turn pairs of coordinates by an angle that grows with the position.

    Coordinate i is paired with i + head_dim/2 (the NeoX way, not its neighbour).
    Mirrors `model_executor/layers/rotary_embedding`.
    """

    def __init__(self, head_dim: int, max_position: int, rope: dict):
        super().__init__()
        with torch.device("cpu"):   # a table, not a weight: it is there before the checkpoint is
            angles = torch.outer(torch.arange(max_position, dtype=torch.float32), inverse_frequencies(head_dim, rope))
        self.register_buffer("cos", angles.cos(), persistent=False)     # float32 [max_position, head_dim / 2]
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """`x`: [tokens, heads, head_dim]; `positions`: [tokens]."""
        cos, sin = self.cos[positions].unsqueeze(1).to(x.dtype), self.sin[positions].unsqueeze(1).to(x.dtype)
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


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
        self.gate_proj = nn.Linear(hidden, intermediate, bias=False)
        self.up_proj = nn.Linear(hidden, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
