"""SiLU and multiply: the gate of a feed-forward network. The first half of a row, through x / (1 + exp(-x)), times the second half.

Computed in float32 and rounded once; vLLM's kernel rounds the SiLU first, and the product again.

Time is bytes. A program takes at most 1,024 neighbours of one row, 4 a thread; the note beside this file says why no fewer.

Mirrors `model_executor/layers/activation.py::SiluAndMul`.
"""
import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before


def silu_and_mul_twin(x: torch.Tensor) -> torch.Tensor:
    """What `silu_and_mul` computes, by torch."""
    gate, up = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


@triton.jit
def silu_and_mul_kernel(x, out, size, x_stride, out_stride, COLUMNS: tl.constexpr):
    await_the_kernel_before()
    programs_per_row = tl.cdiv(size, COLUMNS)
    row = (tl.program_id(0) // programs_per_row).to(tl.int64)
    columns = tl.program_id(0) % programs_per_row * COLUMNS + tl.arange(0, COLUMNS)
    x += row * x_stride + columns
    gate = tl.load(x, mask=columns < size, other=0.0).to(tl.float32)
    up = tl.load(x + size, mask=columns < size, other=0.0).to(tl.float32)
    gated = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * out_stride + columns, gated.to(out.dtype.element_ty), mask=columns < size)


def silu_and_mul(x: torch.Tensor, out: torch.Tensor | None = None, *, columns_per_program: int = 1024, num_warps: int = 8) -> torch.Tensor:
    """SiLU(`x`[:, :n]) * `x`[:, n:]. Returns `out`.

    `x`: [rows, 2n], `out`: [rows, n], float32, bfloat16 or float16, each row contiguous. Raises `ValueError` on anything else.
    """
    if x.dim() != 2 or x.shape[1] % 2:
        raise ValueError(f"x is {list(x.shape)}: give [rows, 2n], gates first; flatten other dimensions into the rows")
    num_rows, size = x.shape[0], x.shape[1] // 2
    out = torch.empty(num_rows, size, dtype=x.dtype, device=x.device) if out is None else out
    if x.dtype not in (torch.float32, torch.bfloat16, torch.float16) or out.dtype != x.dtype or out.shape != (num_rows, size):
        raise ValueError(f"x is {x.dtype} {list(x.shape)} and out {out.dtype} {list(out.shape)}: "
                         f"give both as one of float32, bfloat16 and float16, and out as {[num_rows, size]}")
    if x.stride(1) != 1 or size > 1 and out.stride(1) != 1:
        raise ValueError("numbers of a row must be neighbours in memory: call .contiguous() first")
    if out.numel() == 0:
        return out
    silu_and_mul_kernel[(num_rows * triton.cdiv(size, columns_per_program),)](x, out, size, x.stride(0), out.stride(0), COLUMNS=columns_per_program,
                                                                              num_warps=num_warps, **EARLY)
    return out


def bytes_min(rows: int, size: int, dtype: torch.dtype) -> int:
    """Bytes that must move for `size` numbers a row that come out: twice as many go in."""
    return 3 * rows * size * dtype.itemsize


def flops(rows: int, size: int) -> int:
    """Operations: negate, exponential, add, divide, multiply."""
    return 5 * rows * size
