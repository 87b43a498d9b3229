"""The product of one row with a weight: what decoding a single request does four times a layer, and once with the whole vocabulary.

Each weight is used once, so time is bytes over bandwidth, and tensor cores have nothing to gain. The weights of a small model are
small, 2 to 12 MB, which is one to four microseconds: what counts is that all of it is on its way at once, on all processors. So a program
takes four rows of the weight and asks for all their numbers before it needs the first.

Mirrors what vLLM leaves to cuBLAS: `model_executor/layers/utils.py::default_unquantized_gemm`.
"""
import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before

OUTPUTS = 4     # rows of the weight that a program takes
LONGEST = 4096  # of its columns that it holds at a time


def gemv_twin(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What `gemv` computes, by torch."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) @ weight.to(wide).T).to(x.dtype)


@triton.jit
def _gemv(x, weight, out, num_outputs, SIZE: tl.constexpr, OUTPUTS: tl.constexpr, TILE: tl.constexpr):
    output = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    inside = output < num_outputs
    weight += output.to(tl.int64)[:, None] * SIZE
    total = tl.zeros([OUTPUTS], tl.float32)
    for start in tl.static_range(0, SIZE, TILE):
        column = start + tl.arange(0, TILE)
        w = tl.load(weight + column[None, :], mask=inside[:, None] & (column < SIZE)[None, :], other=0.0).to(tl.float32)
        if start == 0:
            await_the_kernel_before()   # it makes x; the weight has been there all along
        part = tl.load(x + column, mask=column < SIZE, other=0.0).to(tl.float32)
        total += tl.sum(w * part[None, :], axis=1)
    tl.store(out + output, total.to(out.dtype.element_ty), mask=inside)


def gemv(x: torch.Tensor, weight: torch.Tensor, *, outputs: int = OUTPUTS, num_warps: int | None = None) -> torch.Tensor:
    """[1, outputs]: `x` [1, size] times `weight` [outputs, size], transposed. Sums in float32.

    Both contiguous, of the same float type. `outputs`: a power of two. Raises `ValueError` on shapes, dtypes and strides it cannot do.
    """
    if x.dim() != 2 or len(x) != 1 or weight.shape[1:] != x.shape[1:] or weight.dtype != x.dtype or not weight.is_contiguous() or x.stride(1) != 1:
        raise ValueError(f"x is {x.dtype} {list(x.shape)} and weight {weight.dtype} {list(weight.shape)}: give [1, size] and [outputs, size], contiguous, of one type")
    num_outputs, size = weight.shape
    out = torch.empty((1, num_outputs), dtype=x.dtype, device=x.device)
    if num_outputs:
        tile = min(triton.next_power_of_2(size), LONGEST)
        _gemv[(triton.cdiv(num_outputs, outputs),)](x, weight, out, num_outputs, SIZE=size, OUTPUTS=outputs, TILE=tile,
                                                    num_warps=num_warps or (4 if tile <= 1024 else 8), **EARLY)
    return out


def bytes_min(outputs: int, size: int, element: int = 2) -> int:
    """Each weight once; x in, the results out."""
    return element * (outputs * size + size + outputs)


def flops(outputs: int, size: int) -> int:
    return 2 * outputs * size
