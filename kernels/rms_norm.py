"""RMSNorm: scale each row to a root mean square of one, then by a learned weight. Alone, or fused with the residual's addition.

Four operations a number are nothing next to fetching it: time is bytes. So a program holds its rows in
registers between the two steps, the sum of squares and the scaling, and each number is read once.

Computed in float32 and rounded once, at the end. vLLM's kernel rounds twice, before the product with the
weight and after it, so that it and this one differ in the last bit here and there.

Mirrors `model_executor/layers/layernorm.py::RMSNorm` and what it calls, `kernels/vllm_c.py::rms_norm` and `fused_add_rms_norm`.
"""
import torch
import triton
import triton.language as tl

from kernels.dependent_launch import EARLY, await_the_kernel_before

LONGEST = 65536     # numbers in a row: more do not fit into one program's registers


def rms_norm_twin(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """What `rms_norm` computes, by torch."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps) * weight).to(x.dtype)


def add_rms_norm_twin(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What `add_rms_norm` computes, by torch. Returns what it leaves in `x` and in `residual`."""
    residual = x + residual
    return rms_norm_twin(residual, weight, eps), residual


@triton.jit
def naive_rms_norm_kernel(x, weight, out, x_stride, x_inner_stride, out_stride, out_inner_stride, eps,
                          SIZE: tl.constexpr, INNER: tl.constexpr, TILE: tl.constexpr):
    """A program walks along its row twice: for the sum, and again to scale. The second time it reads everything anew."""
    row = tl.program_id(0)
    x += (row // INNER).to(tl.int64) * x_stride + (row % INNER) * x_inner_stride
    out += (row // INNER).to(tl.int64) * out_stride + (row % INNER) * out_inner_stride
    squares = tl.zeros([TILE], tl.float32)
    for start in range(0, SIZE, TILE):
        columns = start + tl.arange(0, TILE)
        part = tl.load(x + columns, mask=columns < SIZE, other=0.0).to(tl.float32)
        squares += part * part
    scale = tl.rsqrt(tl.sum(squares, axis=0) / SIZE + eps)
    for start in range(0, SIZE, TILE):
        columns = start + tl.arange(0, TILE)
        part = tl.load(x + columns, mask=columns < SIZE, other=0.0).to(tl.float32)
        normed = part * scale * tl.load(weight + columns, mask=columns < SIZE, other=0.0).to(tl.float32)
        tl.store(out + columns, normed.to(out.dtype.element_ty), mask=columns < SIZE)


@triton.jit
def normed(x, weight, eps, size):
    """`x` float32 [rows, columns], 0 beyond `size`; `weight` float32 [columns]."""
    return x * tl.rsqrt(tl.sum(x * x, axis=1) / size + eps)[:, None] * weight[None, :]


@triton.jit(do_not_specialize=["num_rows"])   # or it would be compiled anew for 1, and for multiples of 16
def rms_norm_kernel(x, weight, out, num_rows, x_stride, x_inner_stride, out_stride, out_inner_stride, size, eps,
                    INNER: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    await_the_kernel_before()
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    mask = (rows < num_rows)[:, None] & (columns < size)[None, :]
    x += ((rows // INNER).to(tl.int64) * x_stride + (rows % INNER) * x_inner_stride)[:, None] + columns[None, :]
    out += ((rows // INNER).to(tl.int64) * out_stride + (rows % INNER) * out_inner_stride)[:, None] + columns[None, :]
    wide = tl.load(x, mask=mask, other=0.0).to(tl.float32)
    scale = tl.load(weight + columns, mask=columns < size, other=0.0, eviction_policy="evict_last").to(tl.float32)
    tl.store(out, normed(wide, scale, eps, size).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["num_rows"])
def add_rms_norm_kernel(x, residual, weight, num_rows, x_stride, x_inner_stride, residual_stride, residual_inner_stride, size, eps,
                        INNER: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    await_the_kernel_before()
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    mask = (rows < num_rows)[:, None] & (columns < size)[None, :]
    x += ((rows // INNER).to(tl.int64) * x_stride + (rows % INNER) * x_inner_stride)[:, None] + columns[None, :]
    residual += ((rows // INNER).to(tl.int64) * residual_stride + (rows % INNER) * residual_inner_stride)[:, None] + columns[None, :]
    ours = tl.load(x, mask=mask, other=0.0).to(tl.float32)
    theirs = tl.load(residual, mask=mask, other=0.0).to(tl.float32)
    scale = tl.load(weight + columns, mask=columns < size, other=0.0, eviction_policy="evict_last").to(tl.float32)
    total = (ours + theirs).to(residual.dtype.element_ty)
    tl.store(residual, total, mask=mask)
    # The norm is that of the sum as it was stored: who reads `residual` later finds what was normed.
    tl.store(x, normed(total.to(tl.float32), scale, eps, size).to(x.dtype.element_ty), mask=mask)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float, out: torch.Tensor | None = None, *, version: str = "fast",
             rows_per_program: int | None = None, num_warps: int | None = None) -> torch.Tensor:
    """`x` / sqrt(mean of its squares + `eps`) * `weight`, along the last dimension. Returns `out`, which may be `x`.

    `x`, `out`: [..., size], float32, bfloat16 or float16, each row contiguous; `weight` [size], contiguous.
    `version` "naive" reads `x` twice. Raises `ValueError` on shapes, dtypes and strides it cannot do.
    Mirrors `ir/ops/layernorm.py::rms_norm`.
    """
    if version not in ("fast", "naive"):
        raise ValueError(f"there is no version {version!r}: say 'fast' or 'naive'")
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device) if out is None else out
    size = _checked(x, out, weight)
    if x.numel() == 0:
        return out
    rows, out_rows = _as_rows(x), _as_rows(out)
    num_rows, inner = rows.shape[0] * rows.shape[1], rows.shape[1]
    strides = (rows.stride(0), rows.stride(1), out_rows.stride(0), out_rows.stride(1))
    if version == "naive":
        naive_rms_norm_kernel[(num_rows,)](x, weight, out, *strides, eps, SIZE=size, INNER=inner, TILE=1024)
        return out
    tile = _tile(size, rows_per_program, num_warps)
    rms_norm_kernel[(triton.cdiv(num_rows, tile["ROWS"]),)](x, weight, out, num_rows, *strides, size, eps, INNER=inner, **tile, **EARLY)
    return out


def add_rms_norm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float, *,
                 rows_per_program: int | None = None, num_warps: int | None = None) -> None:
    """In place: `residual` becomes `x` + `residual`, and `x` the norm of that sum, as it was rounded, times `weight`.

    `x`, `residual`: [..., size], float32, bfloat16 or float16, each row contiguous; `weight` [size], contiguous.
    Raises `ValueError` on shapes, dtypes and strides it cannot do.
    Mirrors `ir/ops/layernorm.py::fused_add_rms_norm`, except that torch's version there norms the sum before it is rounded;
    vLLM's CUDA kernel norms the rounded one, like this.
    """
    size = _checked(x, residual, weight)
    if x.numel() == 0:
        return
    rows, residual_rows = _as_rows(x), _as_rows(residual)
    num_rows, inner = rows.shape[0] * rows.shape[1], rows.shape[1]
    strides = (rows.stride(0), rows.stride(1), residual_rows.stride(0), residual_rows.stride(1))
    tile = _tile(size, rows_per_program, num_warps)
    add_rms_norm_kernel[(triton.cdiv(num_rows, tile["ROWS"]),)](x, residual, weight, num_rows, *strides, size, eps, INNER=inner, **tile, **EARLY)


def bytes_min(rows: int, size: int, dtype: torch.dtype, residual: bool = False) -> int:
    """Bytes that must move: a row in, a row out, and with `residual` another in and out; the weight once."""
    return ((4 if residual else 2) * rows * size + size) * dtype.itemsize


def flops(rows: int, size: int, residual: bool = False) -> int:
    """Operations: square, sum, scale, weight; with `residual` one addition more."""
    return (5 if residual else 4) * rows * size


def _tile(size: int, rows_per_program: int | None, num_warps: int | None) -> dict[str, int]:
    """What a program does: whole rows, at least 2,048 numbers, with few warps: many small programs on a multiprocessor keep more loads on their way."""
    columns = triton.next_power_of_2(size)
    rows = rows_per_program or max(1, 2048 // columns)
    return {"ROWS": rows, "COLUMNS": columns, "num_warps": num_warps or min(max(rows * columns // 2048, 2), 16)}


def _as_rows(x: torch.Tensor) -> torch.Tensor:
    """`x` as [outer, inner, size], of the same memory: a slice of heads out of wider rows has two strides."""
    return x.reshape(1, 1, -1) if x.dim() == 1 else x.unsqueeze(1) if x.dim() == 2 else x.view(-1, *x.shape[-2:])


def _checked(x: torch.Tensor, other: torch.Tensor, weight: torch.Tensor) -> int:
    """The length of a row, if the kernels can do what is asked."""
    size = x.shape[-1] if x.dim() else 0
    if x.dtype not in (torch.float32, torch.bfloat16, torch.float16) or not x.dtype == other.dtype == weight.dtype:
        raise ValueError(f"the tensors are {x.dtype}, {other.dtype} and {weight.dtype}: cast them to one of float32, bfloat16 and float16")
    if not 1 <= size <= LONGEST or other.shape != x.shape or weight.shape != (size,):
        raise ValueError(f"shapes {list(x.shape)} and {list(other.shape)}, weight {list(weight.shape)}: "
                         f"give two equal ones and a weight as long as their last dimension, which is 1 to {LONGEST}")
    if size > 1 and not x.stride(-1) == other.stride(-1) == weight.stride(-1) == 1:
        raise ValueError("numbers of a row must be neighbours in memory: call .contiguous() first")
    for each in (x, other):
        if each.dim() > 3 and each.numel() and not _flat_outside(each):
            raise ValueError(f"strides {each.stride()} of {list(each.shape)} are no two steps through memory: call .contiguous() first")
    return size


def _flat_outside(x: torch.Tensor) -> bool:
    """Whether all dimensions but the last two can be walked through with one stride."""
    outer = [(size, stride) for size, stride in zip(x.shape[:-2], x.stride()[:-2]) if size != 1]
    return all(stride == inner_stride * inner_size for (_, stride), (inner_size, inner_stride) in zip(outer, outer[1:]))
