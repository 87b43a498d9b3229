"""Chance that can be had again: a token drawn from logits and a seed, on any device, beside any batch mates.

Adding Gumbel noise to logits and taking the largest draws each token as often as
its softmax says. The noise of a token is a hash (SplitMix64) of the seed and the
token's id, so nothing else enters it. Mirrors `torch.ops._C.fused_gumbel_argmax`,
with which vLLM samples on a CPU (`v1/sample/ops/topk_topp_sampler.py::TopKTopPSampler.forward_cpu`).
"""
import torch

GAMMA, FIRST, SECOND = (constant - (1 << 64) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def draw(logits: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
    """One token id [rows] for each row of `logits` [rows, vocabulary], float32; -inf is never drawn. `seeds`: int64 [rows]."""
    token_ids = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
    bits = _shift_right(_splitmix(_splitmix(seeds)[:, None] + token_ids * GAMMA), 11)     # 53 of them
    uniform = (bits.double() + 0.5) * 2.0 ** -53
    return (logits.double() - (-uniform.log()).log()).argmax(-1)


def _splitmix(bits: torch.Tensor) -> torch.Tensor:
    """The finalizer of SplitMix64: int64, whose products wrap as those of unsigned numbers do."""
    bits = (bits ^ _shift_right(bits, 30)) * FIRST
    bits = (bits ^ _shift_right(bits, 27)) * SECOND
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: torch.Tensor, by: int) -> torch.Tensor:
    """A shift that fills with zeros: torch's repeats the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
