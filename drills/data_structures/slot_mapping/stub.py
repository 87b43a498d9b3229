"""Slot mapping: your answer. The problem is in drills/data_structures/slot_mapping/README.md."""
import torch

PAD_SLOT_ID = -1


def slot_mapping(block_tables: torch.Tensor, query_start_loc: torch.Tensor, positions: torch.Tensor, block_size: int, num_padded: int) -> torch.Tensor:
    """Where in the KV cache the keys and values of a batch's tokens are written.

    Args:
        block_tables: int32 [num_requests, max_blocks], the block ids of each request; beyond its blocks is anything.
        query_start_loc: int32 [num_requests + 1], request r has the tokens from `query_start_loc[r]` to `query_start_loc[r + 1]`.
        positions: int64 [num_tokens], the position of each token within its request's sequence.
        block_size: slots per block.
        num_padded: how long the result is, at least num_tokens.

    Returns:
        int64 [num_padded], the slots of the tokens, and then `PAD_SLOT_ID`.
    """
    raise NotImplementedError("slot_mapping: slot_mapping is not written yet")
