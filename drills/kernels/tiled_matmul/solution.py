"""A program per tile of the result walks along K, and adds up products of tiles in float32."""
import torch
import triton
import triton.language as tl


@triton.jit
def tiled_matmul_kernel(a, b, out, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """One tile [BLOCK_M, BLOCK_N] of out = a @ b."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(0, K, BLOCK_K):
        across, down = start + tl.arange(0, BLOCK_K)[None, :], start + tl.arange(0, BLOCK_K)[:, None]
        left = tl.load(a + rows.to(tl.int64) * K + across, mask=(rows < M) & (across < K), other=0.0)
        right = tl.load(b + down.to(tl.int64) * N + columns, mask=(down < K) & (columns < N), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(out + rows.to(tl.int64) * N + columns, total.to(out.dtype.element_ty), mask=(rows < M) & (columns < N))


def tiled_matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a @ b of a [M, K] and b [K, N], both float32 or both float16, as a new tensor [M, N] of that dtype. Added up in float32."""
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        grid = (triton.cdiv(m, 64), triton.cdiv(n, 64))
        tiled_matmul_kernel[grid](a, b, out, m, n, k, BLOCK_M=64, BLOCK_N=64, BLOCK_K=32)
    return out
