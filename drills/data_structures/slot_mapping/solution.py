"""Position -> block of the request and place within it -> slot, for all tokens of a batch at once."""
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
    num_requests = len(block_tables)
    lengths = (query_start_loc[1:] - query_start_loc[:-1]).long()
    request = torch.repeat_interleave(torch.arange(num_requests, device=positions.device), lengths)
    block_ids = block_tables[request, positions // block_size].long()     # before it is multiplied: a slot need not fit into 32 bits
    slots = torch.full((num_padded,), PAD_SLOT_ID, dtype=torch.int64, device=positions.device)
    slots[:len(positions)] = block_ids * block_size + positions % block_size
    return slots
