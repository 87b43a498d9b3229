"""A table of cosines and sines by position, and a turn of each pair of numbers by its own angle."""
import torch


def cos_sin_cache(rotary_dim: int, max_position: int, base: float = 10_000.0) -> torch.Tensor:
    """What a position turns each pair by: float32 [max_position, rotary_dim], the cosines in front, the sines behind."""
    frequencies = base ** (-torch.arange(0, rotary_dim, 2, dtype=torch.float64) / rotary_dim)
    angles = torch.outer(torch.arange(max_position, dtype=torch.float64), frequencies)
    return torch.cat([angles.cos(), angles.sin()], 1).float()


def rotate(x: torch.Tensor, positions: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    """Each token's heads, turned by its position: a new tensor of the shape and dtype of x.

    x [num_tokens, num_heads, head_size], float32 or bfloat16; positions int64 [num_tokens]; cache [max_position, rotary_dim].
    The numbers of a head behind rotary_dim stay as they are.
    """
    rotary_dim = cache.shape[1]
    cos, sin = cache[positions][:, None, :].chunk(2, dim=2)
    first, second = x[..., :rotary_dim].float().chunk(2, dim=2)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=2)
    return torch.cat([turned.to(x.dtype), x[..., rotary_dim:]], dim=2)
