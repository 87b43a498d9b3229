"""A bit per token of the vocabulary, 32 of them in an int32."""
import torch


def pack(allowed: list[list[int]], vocab_size: int) -> torch.Tensor:
    """A row per list of token ids, int32 [len(allowed), ceil(vocab_size / 32)]: token t is bit t % 32 of word t // 32, 1 if it is allowed.

    The bits beyond the vocabulary are 0. Raises `ValueError` for a token id that is not in the vocabulary.
    """
    words = -(-vocab_size // 32)
    bits = torch.zeros(len(allowed), words * 32, dtype=torch.int64)
    for row, tokens in zip(bits, allowed):
        if tokens and not 0 <= min(tokens) <= max(tokens) < vocab_size:
            raise ValueError(f"token ids from 0 to {vocab_size - 1} are in the vocabulary, not all of {tokens}")
        row[tokens] = 1
    # Each bit has a place of its own, so their sum has them all. The cast keeps the low 32 bits: from 2**31 on it is negative.
    return (bits.view(len(allowed), words, 32) << torch.arange(32)).sum(-1).to(torch.int32)


def apply_bitmask(logits: torch.Tensor, bitmask: torch.Tensor, rows: list[int]) -> None:
    """Set the logits of what is not allowed to minus infinity, in place.

    Args:
        logits: float [num_rows, vocab_size], changed.
        bitmask: int32 [len(rows), ceil(vocab_size / 32)], as `pack` makes it; the bits beyond the vocabulary have no meaning.
        rows: to which row of the logits each row of the bitmask belongs; none of them twice. The others stay as they are.
    """
    vocab_size = logits.shape[1]
    bits = (bitmask[:, :, None] >> torch.arange(32, dtype=torch.int32, device=bitmask.device)) & 1
    forbidden = bits.flatten(1)[:, :vocab_size] == 0
    logits[rows] = logits[rows].masked_fill(forbidden, float("-inf"))
