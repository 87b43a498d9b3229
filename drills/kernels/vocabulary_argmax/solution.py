"""A program per block of the vocabulary finds its best token; a second kernel, with a program per row, the best of these."""
import torch
import triton
import triton.language as tl


@triton.jit
def block_argmax_kernel(logits, temperatures, noise, values, ids, vocab_size, BLOCK: tl.constexpr):
    """The best value of one block of one row, and its token."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    token = block * BLOCK + tl.arange(0, BLOCK)
    there = token < vocab_size
    value = tl.load(logits + row * vocab_size + token, mask=there, other=-float("inf")).to(tl.float32)
    temperature = tl.load(temperatures + row)
    if temperature > 0:
        value = value / temperature + tl.load(noise + row * vocab_size + token, mask=there, other=0.0)
    best, index = tl.max(value, axis=0, return_indices=True, return_indices_tie_break_left=True)
    place = row * tl.num_programs(1) + block
    tl.store(values + place, best)
    tl.store(ids + place, block * BLOCK + index)


@triton.jit
def row_argmax_kernel(values, ids, out, blocks, BLOCKS: tl.constexpr):
    """The best token of one row. BLOCKS: the power of two that `blocks` fits in."""
    row, block = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCKS)
    value = tl.load(values + row * blocks + block, mask=block < blocks, other=-float("inf"))
    # Blocks are in the order of their tokens: the first of the best blocks has the lowest of the best tokens.
    _, index = tl.max(value, axis=0, return_indices=True, return_indices_tie_break_left=True)
    tl.store(out + row, tl.load(ids + row * blocks + index))


def vocabulary_argmax(logits: torch.Tensor, temperatures: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The token with the highest `logits / temperature + noise` of each row, of several the lowest: int64 [rows].

    `logits`: [rows, vocab_size], float32 or float16; `temperatures`: float32 [rows]; `noise`: float32 [rows, vocab_size]. All contiguous,
    without NaN. Where the temperature is 0, that with the highest logit: the noise of such a row is not looked at.
    """
    return _launch(block_argmax_kernel, row_argmax_kernel, logits, temperatures, noise)


def _launch(block_kernel, row_kernel, logits, temperatures, noise):
    rows, vocab_size = logits.shape
    blocks = triton.cdiv(vocab_size, 1024)
    out = torch.empty(rows, dtype=torch.int64, device=logits.device)
    values = torch.empty(rows, blocks, dtype=torch.float32, device=logits.device)
    ids = torch.empty(rows, blocks, dtype=torch.int32, device=logits.device)
    if rows:
        block_kernel[(rows, blocks)](logits, temperatures, noise, values, ids, vocab_size, BLOCK=1024)
        row_kernel[(rows,)](values, ids, out, blocks, BLOCKS=triton.next_power_of_2(blocks))
    return out
