"""Two softmaxes over different keys become one: each counts as much as the sum that it was divided by."""
import torch


def merge_attention_states(output_a: torch.Tensor, lse_a: torch.Tensor, output_b: torch.Tensor, lse_b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention over the keys of both parts, as (output, logsumexp).

    Outputs: [tokens, heads, size], any float dtype, which the result has too. Logsumexps: float32 [heads, tokens].
    A logsumexp of -inf or +inf: the part is empty, and its output may be anything. Both empty: zeros and -inf.
    """
    lse_a, lse_b = _empty_is_minus_infinity(lse_a), _empty_is_minus_infinity(lse_b)
    highest = torch.maximum(lse_a, lse_b)
    shift = highest.masked_fill(highest == -torch.inf, 0)       # -inf - -inf would be NaN
    sum_a, sum_b = (lse_a - shift).exp(), (lse_b - shift).exp()
    total = sum_a + sum_b
    share_a, share_b = (torch.where(total > 0, each / total, 0) for each in (sum_a, sum_b))
    output = _weighted(output_a, share_a) + _weighted(output_b, share_b)
    return output.to(output_a.dtype), total.log() + shift


def _empty_is_minus_infinity(lse: torch.Tensor) -> torch.Tensor:
    return lse.masked_fill(lse == torch.inf, -torch.inf)


def _weighted(output: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """What a part contributes, in float32; nothing where it has no share, even if there is NaN."""
    share = share.transpose(0, 1)[:, :, None]
    return torch.where(share > 0, output.float() * share, 0)
