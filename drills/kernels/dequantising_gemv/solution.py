"""A program per row of the weights: small integers come in, become numbers in registers, and go into a float32 sum."""
import torch
import triton
import triton.language as tl


@triton.jit
def int8_gemv_kernel(weights, scales, x, out, n, BLOCK: tl.constexpr):
    """out[row] = scale of the row * sum of weights[row] * x, for one row."""
    row = tl.program_id(0)
    weights += row.to(tl.int64) * n
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n, BLOCK):
        column = start + tl.arange(0, BLOCK)
        weight = tl.load(weights + column, mask=column < n, other=0)
        total += weight.to(tl.float32) * tl.load(x + column, mask=column < n, other=0).to(tl.float32)
    # The scale is the same for the whole row: it can wait until the sum is there.
    value = tl.sum(total, axis=0) * tl.load(scales + row)
    tl.store(out + row, value.to(out.dtype.element_ty))


@triton.jit
def int4_gemv_kernel(packed, scales, x, out, n, group_size, BLOCK: tl.constexpr):
    """The same with two weights in a byte and a scale per group, for one row; BLOCK counts bytes."""
    row = tl.program_id(0)
    packed += row.to(tl.int64) * (n // 2)
    scales += row.to(tl.int64) * (n // group_size)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n // 2, BLOCK):
        byte = start + tl.arange(0, BLOCK)
        there = byte < n // 2
        both = tl.load(packed + byte, mask=there, other=0).to(tl.int32)
        low = ((both & 15) - 8).to(tl.float32)
        high = ((both >> 4) - 8).to(tl.float32)
        even = tl.load(x + 2 * byte, mask=there, other=0).to(tl.float32)
        odd = tl.load(x + 2 * byte + 1, mask=there, other=0).to(tl.float32)
        # A group has an even number of columns, so both weights of a byte are in the same one.
        scale = tl.load(scales + 2 * byte // group_size, mask=there, other=0)
        total += (low * even + high * odd) * scale
    tl.store(out + row, tl.sum(total, axis=0).to(out.dtype.element_ty))


def int8_gemv(weights: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(weights * scales[:, None]) @ x: [rows], of x's dtype, summed in float32.

    `weights`: int8 [rows, n]; `scales`: float32 [rows]; `x`: float32 or float16 [n].
    """
    rows, n = weights.shape
    out = torch.empty(rows, dtype=x.dtype, device=x.device)
    if rows:
        int8_gemv_kernel[(rows,)](weights, scales, x, out, n, BLOCK=512)
    return out


def int4_gemv(packed: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The same for weights of 4 bits: [rows], of x's dtype, summed in float32.

    `packed`: uint8 [rows, n / 2]; byte j of a row has column 2j in its lower half and column 2j + 1 in its upper half, each
    as weight + 8. `scales`: float32 [rows, groups]; a group is n / groups columns in a row, an even number.
    `x`: float32 or float16 [n].
    """
    rows, n = len(packed), len(x)
    out = torch.empty(rows, dtype=x.dtype, device=x.device)
    if rows:
        int4_gemv_kernel[(rows,)](packed, scales, x, out, n, n // scales.shape[1], BLOCK=256)
    return out
