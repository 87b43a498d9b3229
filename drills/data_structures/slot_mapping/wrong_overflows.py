"""Multiplies block ids in their own type, int32: in a large cache the slot becomes negative."""
import torch

FAILS = {"test_a_large_cache": "int32 overflows"}


def slot_mapping(block_tables, query_start_loc, positions, block_size, num_padded):
    request = torch.repeat_interleave(torch.arange(len(block_tables)), query_start_loc.diff().long())
    slots = torch.full((num_padded,), -1, dtype=torch.int64)
    slots[:len(positions)] = block_tables[request, positions // block_size] * block_size + positions % block_size
    return slots
