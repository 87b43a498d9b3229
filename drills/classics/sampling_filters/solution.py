"""Which tokens may be sampled: temperature, then min-p, top-k and top-p, for all rows at once."""
import torch

GREEDY = 1e-5       # a temperature below this is no temperature
NEVER = float("-inf")


def thin_out(logits: torch.Tensor, temperature: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """The logits divided by the temperature, with -inf for the tokens that must not be sampled, as a new tensor.

    logits: float32 [rows, vocabulary]; -inf may be there already. temperature, top_p, min_p: float32 [rows].
    top_k: int64 [rows]; below 1 or above the vocabulary: no limit. top_p of 1, min_p of 0: no limit.
    A row with a temperature below `GREEDY` keeps its best token alone, the first of equals, and its logit.
    """
    random = (temperature >= GREEDY)[:, None]
    scaled = logits / torch.where(random[:, 0], temperature, 1)[:, None]
    kept = _keep_min_p(scaled, min_p[:, None])
    kept = _keep_top_k(kept, top_k)
    kept = _keep_top_p(kept, top_p[:, None])
    best = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, logits.argmax(-1, keepdim=True), True)
    return torch.where(random, kept, logits.masked_fill(~best, NEVER))


def _keep_min_p(logits: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """Without what is less probable than min_p times the most probable."""
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < min_p * probabilities.amax(-1, keepdim=True), NEVER)


def _keep_top_k(logits: torch.Tensor, top_k: torch.Tensor) -> torch.Tensor:
    """Without what is below the k-th best; what ties with it stays."""
    vocabulary = logits.shape[-1]
    k = torch.where((top_k < 1) | (top_k > vocabulary), vocabulary, top_k)
    ascending = logits.sort(-1).values
    return logits.masked_fill(logits < ascending.gather(1, (vocabulary - k)[:, None]), NEVER)


def _keep_top_p(logits: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Without the least probable that together have no more than 1 - top_p; the best stays."""
    ascending, order = logits.sort(-1)
    left_out = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    left_out[:, -1] = False
    left_out &= top_p < 1
    return logits.scatter(1, order, ascending.masked_fill(left_out, NEVER))
