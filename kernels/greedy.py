"""Greedy sampling: the token with the highest logit, for each row.

A row of 152k logits is too much for one multiprocessor and there may be only a few rows, so a
row is cut into chunks, each the work of one program; a second kernel takes the best of the chunks.

Value and token id travel together as one integer (`order_key`), of which the largest is wanted. So ties need
no care, and the result does not depend on who comes first. Mirrors what temperature 0 does in
`v1/worker/gpu/sample/gumbel.py::gumbel_sample`.
"""
import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before

CHUNK = 4096    # logits a program looks at: a row of 152k is 38 programs


def greedy_twin(logits: torch.Tensor) -> torch.Tensor:
    """`greedy` as its definition says."""
    return logits.argmax(-1)


@triton.jit
def ordered_bits(value):
    """An int64 of 32 bits that grows with a float32; NaN is above all.

    The bits of a float, read as an integer, grow with it if it is positive and shrink with it if not: flip those.
    """
    value = tl.where(value == 0.0, 0.0, value)      # -0.0 is no less than 0.0
    bits = value.to(tl.int32, bitcast=True)
    bits = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return tl.where(value != value, 0x7FFFFFFF, bits).to(tl.int64)


@triton.jit
def order_key(value, token_id):
    """An int64 that orders tokens: by value, and of equals the lower id first (largest). No two tokens have the same."""
    return (ordered_bits(value) << 32) | (0xFFFFFFFF - token_id.to(tl.int64))


@triton.jit
def _best_of_chunk(logits, best, row_stride, vocab_size, CHUNK: tl.constexpr):
    row, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    token_id = chunk * CHUNK + tl.arange(0, CHUNK)
    inside = token_id < vocab_size
    value = tl.load(logits + row * row_stride + token_id, mask=inside, other=float("-inf")).to(tl.float32)
    # A token past the end has the lowest value and the highest id of all: it never wins.
    tl.store(best + row * tl.num_programs(1) + chunk, tl.max(order_key(value, token_id)))


@triton.jit
def best_of_row(best, out, num_chunks, CHUNKS: tl.constexpr):
    """From `order_key`s [rows, chunks], each the best of its chunk, to token ids [rows]."""
    await_the_kernel_before()
    row, chunk = tl.program_id(0).to(tl.int64), tl.arange(0, CHUNKS)
    key = tl.load(best + row * num_chunks + chunk, mask=chunk < num_chunks, other=-0x7FFFFFFFFFFFFFFF)
    tl.store(out + row, 0xFFFFFFFF - (tl.max(key) & 0xFFFFFFFF))


def greedy(logits: torch.Tensor, *, chunk: int = CHUNK, num_warps: int = 4) -> torch.Tensor:
    """int64 [rows]: the id of the highest of `logits` [rows, vocabulary]; of equals, the lowest. Any float type, any row stride.

    As in `torch.argmax`, NaN is higher than all else, and of a row full of -inf the first token is taken. Here
    of several NaN, too, it is the first. `chunk`: a power of two.
    """
    check_logits(logits)
    rows, vocab_size = logits.shape
    num_chunks = triton.cdiv(vocab_size, chunk)
    best = torch.empty((rows, num_chunks), dtype=torch.int64, device=logits.device)
    out = torch.empty(rows, dtype=torch.int64, device=logits.device)
    if rows:
        _best_of_chunk[(rows, num_chunks)](logits, best, logits.stride(0), vocab_size, CHUNK=chunk, num_warps=num_warps)
        best_of_row[(rows,)](best, out, num_chunks, CHUNKS=triton.next_power_of_2(num_chunks), num_warps=1, **EARLY)
    return out


def check_logits(logits: torch.Tensor, **per_row: tuple[torch.Tensor | None, torch.dtype]) -> None:
    """Raises `ValueError` unless `logits` are floats [rows, vocabulary], and each of `per_row` has one number of its type for each row."""
    if logits.ndim != 2 or not logits.shape[1] or logits.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ValueError(f"logits must be float32, bfloat16 or float16 [rows, vocabulary], and are {logits.dtype} {list(logits.shape)}")
    if logits.stride(1) != 1:
        raise ValueError(f"the logits of a row must lie side by side, and lie {logits.stride(1)} apart: pass logits.contiguous()")
    for name, (numbers, dtype) in per_row.items():
        if numbers is not None and (numbers.shape != logits.shape[:1] or numbers.dtype != dtype or not numbers.is_contiguous()):
            raise ValueError(f"{name} must be {dtype} [{len(logits)}], contiguous, and is {numbers.dtype} {list(numbers.shape)}")


def bytes_min(rows: int, vocab_size: int, element: int = 4) -> int:
    """Each logit once; a token id a row. `element`: bytes of a logit."""
    return rows * vocab_size * element + rows * 8
