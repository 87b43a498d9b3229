"""Dequantising GEMV: your answer. The problem is in drills/kernels/dequantising_gemv/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def int8_gemv_kernel(weights, scales, x, out, n, BLOCK: tl.constexpr):
    """out[row] = scale of the row * sum of weights[row] * x, for one row."""


@triton.jit
def int4_gemv_kernel(packed, scales, x, out, n, group_size, BLOCK: tl.constexpr):
    """The same with two weights in a byte and a scale per group, for one row; BLOCK counts bytes."""


def int8_gemv(weights: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(weights * scales[:, None]) @ x: [rows], of x's dtype, summed in float32.

    `weights`: int8 [rows, n]; `scales`: float32 [rows]; `x`: float32 or float16 [n].
    """
    raise NotImplementedError("dequantising_gemv: int8_gemv is not written yet")


def int4_gemv(packed: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The same for weights of 4 bits: [rows], of x's dtype, summed in float32.

    `packed`: uint8 [rows, n / 2]; byte j of a row has column 2j in its lower half and column 2j + 1 in its upper half, each
    as weight + 8. `scales`: float32 [rows, groups]; a group is n / groups columns in a row, an even number.
    `x`: float32 or float16 [n].
    """
    raise NotImplementedError("dequantising_gemv: int4_gemv is not written yet")
