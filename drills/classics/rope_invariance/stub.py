"""Rotary positions: your answer. The problem is in drills/classics/rope_invariance/README.md."""
import torch


def cos_sin_cache(rotary_dim: int, max_position: int, base: float = 10_000.0) -> torch.Tensor:
    """What a position turns each pair by: float32 [max_position, rotary_dim], the cosines in front, the sines behind."""
    raise NotImplementedError("rope_invariance: cos_sin_cache is not written yet")


def rotate(x: torch.Tensor, positions: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    """Each token's heads, turned by its position: a new tensor of the shape and dtype of x.

    x [num_tokens, num_heads, head_size], float32 or bfloat16; positions int64 [num_tokens]; cache [max_position, rotary_dim].
    The numbers of a head behind rotary_dim stay as they are.
    """
    raise NotImplementedError("rope_invariance: rotate is not written yet")
