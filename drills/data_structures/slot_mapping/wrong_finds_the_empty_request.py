"""Searches for the request whose start is not before the token: with requests that have no tokens it finds the wrong one."""
import torch

FAILS = {"test_requests_without_tokens": r"lengths \[1, 0, 0, 3\]|lengths \[0, 2\]"}


def slot_mapping(block_tables, query_start_loc, positions, block_size, num_padded):
    tokens = torch.arange(len(positions), dtype=torch.int32)
    request = torch.searchsorted(query_start_loc, tokens, right=False)      # equal only at the first token of a request
    request -= (query_start_loc[request] != tokens).long()
    slots = torch.full((num_padded,), -1, dtype=torch.int64)
    slots[:len(positions)] = block_tables[request, positions // block_size].long() * block_size + positions % block_size
    return slots
