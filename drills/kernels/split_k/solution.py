"""Two kernels: partial sums over stretches of K, and their sum in a fixed order."""
import torch
import triton
import triton.language as tl


@triton.jit
def split_k_kernel(a, b, partial, M, N, K, length, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    """One tile of partial[split] = a[:, begin:end] @ b[begin:end], whose stretch of K is `length` long, a multiple of BLOCK_K."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    split = tl.program_id(2).to(tl.int64)
    begin = tl.program_id(2) * length
    end = tl.minimum(begin + length, K)
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(begin, end, BLOCK_K):
        across, down = start + tl.arange(0, BLOCK_K)[None, :], start + tl.arange(0, BLOCK_K)[:, None]
        left = tl.load(a + rows.to(tl.int64) * K + across, mask=(rows < M) & (across < end), other=0.0)
        right = tl.load(b + down.to(tl.int64) * N + columns, mask=(down < end) & (columns < N), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(partial + split * M * N + rows.to(tl.int64) * N + columns, total, mask=(rows < M) & (columns < N))


@triton.jit
def reduce_kernel(partial, out, size, splits, BLOCK: tl.constexpr):
    """out = the sum of all partial sums, first to last, for one block of the `size` numbers of the result."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for _ in range(splits):
        total += tl.load(partial + at, mask=at < size, other=0.0)
        partial += size
    tl.store(out + at, total.to(out.dtype.element_ty), mask=at < size)


def split_k(a: torch.Tensor, b: torch.Tensor, splits: int) -> torch.Tensor:
    """a @ b of a [M, K] and b [K, N], both float32 or both float16, as a new tensor [M, N] of that dtype.

    K is split among `splits` programs, at least 1; their float32 sums are added in a fixed order.
    """
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        partial = torch.empty(splits, m, n, dtype=torch.float32, device=a.device)
        length = triton.cdiv(triton.cdiv(k, 32), splits) * 32
        split_k_kernel[(triton.cdiv(m, 16), triton.cdiv(n, 64), splits)](a, b, partial, m, n, k, length, BLOCK_M=16, BLOCK_N=64, BLOCK_K=32)
        reduce_kernel[(triton.cdiv(m * n, 1024),)](partial, out, m * n, splits, BLOCK=1024)
    return out
