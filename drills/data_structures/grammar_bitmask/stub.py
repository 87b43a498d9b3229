"""Grammar bitmask: your answer. The problem is in drills/data_structures/grammar_bitmask/README.md."""
import torch


def pack(allowed: list[list[int]], vocab_size: int) -> torch.Tensor:
    """A row per list of token ids, int32 [len(allowed), ceil(vocab_size / 32)]: token t is bit t % 32 of word t // 32, 1 if it is allowed.

    The bits beyond the vocabulary are 0. Raises `ValueError` for a token id that is not in the vocabulary.
    """
    raise NotImplementedError("grammar_bitmask: pack is not written yet")


def apply_bitmask(logits: torch.Tensor, bitmask: torch.Tensor, rows: list[int]) -> None:
    """Set the logits of what is not allowed to minus infinity, in place.

    Args:
        logits: float [num_rows, vocab_size], changed.
        bitmask: int32 [len(rows), ceil(vocab_size / 32)], as `pack` makes it; the bits beyond the vocabulary have no meaning.
        rows: to which row of the logits each row of the bitmask belongs; none of them twice. The others stay as they are.
    """
    raise NotImplementedError("grammar_bitmask: apply_bitmask is not written yet")
