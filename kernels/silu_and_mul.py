"""SiLU and multiply: the gate of a feed-forward network. The first half of a row, through x / (1 + exp(-x)), times the second half.

Computed in float32 and rounded once; vLLM's kernel rounds the SiLU first, and the product again.

Time is bytes. A tile is a few rows by at most 1,024 columns, so that rows of any length split into nearly equal work, and a
thread has several loads on their way.

Mirrors `model_executor/layers/activation.py::SiluAndMul`.
"""
import torch
import triton
import triton.language as tl


def silu_and_mul_twin(x: torch.Tensor) -> torch.Tensor:
    """What `silu_and_mul` computes, by torch."""
    gate, up = x.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


@triton.jit(do_not_specialize=["num_rows"])   # or it would be compiled anew for 1, and for multiples of 16
def silu_and_mul_kernel(x, out, num_rows, size, x_stride, out_stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    tiles_per_row = tl.cdiv(size, COLUMNS)
    program = tl.program_id(0)
    rows = program // tiles_per_row * ROWS + tl.arange(0, ROWS)
    columns = program % tiles_per_row * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < num_rows)[:, None] & (columns < size)[None, :]
    x += rows.to(tl.int64)[:, None] * x_stride + columns[None, :]
    gate = tl.load(x, mask=mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    up = tl.load(x + size, mask=mask, other=0.0, eviction_policy="evict_first").to(tl.float32)
    gated = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + rows.to(tl.int64)[:, None] * out_stride + columns[None, :], gated.to(out.dtype.element_ty), mask=mask)


def silu_and_mul(x: torch.Tensor, out: torch.Tensor | None = None, *, rows_per_program: int | None = None,
                 columns_per_program: int | None = None, num_warps: int | None = None) -> torch.Tensor:
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
    columns = columns_per_program or min(triton.next_power_of_2(size), 1024)
    # Many rows: several a program, for loads to overlap. Few: one each, for as many programs as there can be.
    rows = rows_per_program or (max(2048 // columns, 1) if num_rows >= 1024 else 1)
    programs = triton.cdiv(num_rows, rows) * triton.cdiv(size, columns)
    silu_and_mul_kernel[(programs,)](x, out, num_rows, size, x.stride(0), out.stride(0), ROWS=rows, COLUMNS=columns,
                                     num_warps=num_warps or min(max(rows * columns // 512, 1), 8))
    return out


def bytes_min(rows: int, size: int, dtype: torch.dtype) -> int:
    """Bytes that must move for `size` numbers a row that come out: twice as many go in."""
    return 3 * rows * size * dtype.itemsize


def flops(rows: int, size: int) -> int:
    """Operations: negate, exponential, add, divide, multiply."""
    return 5 * rows * size
