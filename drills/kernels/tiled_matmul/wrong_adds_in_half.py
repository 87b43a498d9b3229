"""Adds up in the dtype of the matrices: in float16, 2048 + 1/4 is 2048."""
import torch
import triton
import triton.language as tl

FAILS = {"test_float16_is_added_up_in_float32": "64 times 32", "test_half_precision": "float16: .* numbers are wrong"}


@triton.jit
def tiled_matmul_kernel(a, b, out, M, N, K, BLOCK: tl.constexpr, BLOCK_K: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    total = tl.zeros([BLOCK, BLOCK], out.dtype.element_ty)
    for start in range(0, K, BLOCK_K):
        across, down = start + tl.arange(0, BLOCK_K)[None, :], start + tl.arange(0, BLOCK_K)[:, None]
        left = tl.load(a + rows * K + across, mask=(rows < M) & (across < K), other=0.0)
        right = tl.load(b + down * N + columns, mask=(down < K) & (columns < N), other=0.0)
        total += tl.dot(left, right, input_precision="ieee").to(out.dtype.element_ty)
    tl.store(out + rows * N + columns, total, mask=(rows < M) & (columns < N))


def tiled_matmul(a, b):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        tiled_matmul_kernel[(triton.cdiv(m, 64), triton.cdiv(n, 64))](a, b, out, m, n, k, BLOCK=64, BLOCK_K=16)
    return out
