"""A Python loop over the tokens: right, and slower than the model for a long prompt."""
import torch

FAILS = {"test_no_loop_over_tokens": "let torch loop"}


def slot_mapping(block_tables, query_start_loc, positions, block_size, num_padded):
    slots = torch.full((num_padded,), -1, dtype=torch.int64)
    for request in range(len(block_tables)):
        for token in range(int(query_start_loc[request]), int(query_start_loc[request + 1])):
            position = int(positions[token])
            slots[token] = int(block_tables[request, position // block_size]) * block_size + position % block_size
    return slots
