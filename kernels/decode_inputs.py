"""What a decode step needs of each request, out of where the device keeps it: the newest token, its position, its slot, the block table.

The processor says who decodes and how long each request is by now: a few numbers a request. The newest token it often does not know
yet, as the step before is still being computed: then the one that the device itself has sampled counts. So a step can be sent off
before the one before is done, and be the replay of a CUDA graph, in which all addresses are fixed.

Mirrors `v1/worker/gpu/block_table.py::BlockTables.gather_block_tables` and `compute_slot_mappings`, and
`v1/worker/gpu/input_batch.py::combine_sampled_and_draft_tokens`.
"""
import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before

CHUNK = 256     # entries of a block table that a program copies


def decode_inputs_twin(tokens: torch.Tensor, rows: torch.Tensor, seq_lens: torch.Tensor, newest: torch.Tensor, tables: torch.Tensor,
                       block_size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What `decode_inputs` computes, by torch, request by request."""
    token_ids, positions, slots = (torch.zeros(len(rows), dtype=torch.int64, device=rows.device) for _ in range(3))
    block_tables = torch.zeros((len(rows), tables.shape[1]), dtype=torch.int32, device=rows.device)
    for request, (token, row, length) in enumerate(zip(tokens.tolist(), rows.tolist(), seq_lens.tolist())):
        token_ids[request] = token if token >= 0 else newest[row]
        if not length:
            slots[request] = -1
            continue
        positions[request] = length - 1
        slots[request] = int(tables[row, (length - 1) // block_size]) * block_size + (length - 1) % block_size
        used = -(-length // block_size)
        block_tables[request, :used] = tables[row, :used]
    return token_ids, positions, slots, block_tables


@triton.jit(do_not_specialize=["num_blocks"])
def _decode_inputs(tokens, rows, seq_lens, newest, tables, token_ids, positions, slots, block_tables, num_blocks, BLOCK_SIZE: tl.constexpr, CHUNK: tl.constexpr):
    await_the_kernel_before()
    request, chunk = tl.program_id(0), tl.program_id(1)
    row, length = tl.load(rows + request).to(tl.int64), tl.load(seq_lens + request)
    table = tables + row * num_blocks
    if chunk == 0:
        token = tl.load(tokens + request).to(tl.int64)
        tl.store(token_ids + request, tl.where(token < 0, tl.load(newest + row), token))
        position = tl.maximum(length - 1, 0)
        slot = tl.load(table + position // BLOCK_SIZE).to(tl.int64) * BLOCK_SIZE + position % BLOCK_SIZE
        tl.store(positions + request, position.to(tl.int64))
        tl.store(slots + request, tl.where(length > 0, slot, -1))
    entry = chunk * CHUNK + tl.arange(0, CHUNK)
    used = entry < tl.cdiv(length, BLOCK_SIZE)
    tl.store(block_tables + request.to(tl.int64) * num_blocks + entry, tl.load(table + entry, mask=used, other=0), mask=entry < num_blocks)


def decode_inputs(tokens: torch.Tensor, rows: torch.Tensor, seq_lens: torch.Tensor, newest: torch.Tensor, tables: torch.Tensor,
                  block_size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(token ids, positions, slots, block tables) of requests that compute one token each: int64 [requests] three times, int32 [requests, blocks].

    `tokens`: int32 [requests], the newest token of each, or -1: the one in `newest`. `rows`: int32 [requests], each one's row in
    `newest`, int64 [rows], and `tables`, int32 [rows, blocks]. `seq_lens`: int32 [requests], tokens by now, the newest included; 0 is
    padding, with slot -1. A table's entries behind its request's last block are 0. Raises `ValueError` on other shapes and dtypes.
    """
    if any(each.dtype != torch.int32 or each.shape != rows.shape or each.dim() != 1 or not each.is_contiguous() for each in (tokens, rows, seq_lens)):
        raise ValueError("tokens, rows and seq_lens must be contiguous int32 [requests], all alike, and are "
                         + ", ".join(f"{each.dtype} {list(each.shape)}" for each in (tokens, rows, seq_lens)))
    if newest.dtype != torch.int64 or tables.dtype != torch.int32 or tables.dim() != 2 or newest.shape != tables.shape[:1] or not tables.is_contiguous():
        raise ValueError(f"newest must be int64 [rows] and tables contiguous int32 [rows, blocks], and they are {newest.dtype} {list(newest.shape)} "
                         f"and {tables.dtype} {list(tables.shape)}")
    num_requests, num_blocks = len(rows), tables.shape[1]
    token_ids, positions, slots = (torch.empty(num_requests, dtype=torch.int64, device=rows.device) for _ in range(3))
    block_tables = torch.empty((num_requests, num_blocks), dtype=torch.int32, device=rows.device)
    if num_requests:
        _decode_inputs[(num_requests, triton.cdiv(num_blocks, CHUNK))](tokens, rows, seq_lens, newest, tables, token_ids, positions, slots, block_tables,
                                                                       num_blocks, BLOCK_SIZE=block_size, CHUNK=CHUNK, num_warps=4, **EARLY)
    return token_ids, positions, slots, block_tables


def bytes_min(seq_lens: list[int], num_blocks: int, block_size: int) -> int:
    """Three numbers in and three out a request, its newest token, the blocks it uses in, and a whole table out."""
    return sum(3 * 4 + 8 + 3 * 8 + 4 * -(-length // block_size) + 4 * num_blocks for length in seq_lens)
