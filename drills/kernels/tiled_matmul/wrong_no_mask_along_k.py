"""No mask along K: the last block multiplies what lies behind the matrices."""
import torch
import triton
import triton.language as tl

FAILS = {"test_one_number": "3 times -2: 1 of 1 numbers are wrong", "test_any_m_n_k": r"\[2, 4\] @ \[4, 3\]", "test_half_precision": "float16 integers"}


@triton.jit
def tiled_matmul_kernel(a, b, out, M, N, K, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    total = tl.zeros([BLOCK, BLOCK], tl.float32)
    for start in range(0, K, BLOCK):
        left = tl.load(a + rows * K + start + tl.arange(0, BLOCK)[None, :], mask=rows < M, other=0.0)
        right = tl.load(b + (start + tl.arange(0, BLOCK)[:, None]) * N + columns, mask=columns < N, other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(out + rows * N + columns, total.to(out.dtype.element_ty), mask=(rows < M) & (columns < N))


def tiled_matmul(a, b):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        tiled_matmul_kernel[(triton.cdiv(m, 64), triton.cdiv(n, 64))](a, b, out, m, n, k, BLOCK=64)
    return out
