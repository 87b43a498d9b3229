"""A program without work returns at once: its partial sum is whatever was in memory."""
import torch
import triton
import triton.language as tl

from drills.kernels.split_k.solution import reduce_kernel

FAILS = {"test_more_splits_than_there_is_to_do": r"\[2, 1\] @ \[1, 3\] in 2 splits: .* nan, should be", "test_nothing": "nan, should be 0"}


@triton.jit
def split_k_kernel(a, b, partial, M, N, K, length, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    begin = tl.program_id(2) * length
    end = tl.minimum(begin + length, K)
    if begin < end:
        rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
        columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
        total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for start in range(begin, end, BLOCK_K):
            across, down = start + tl.arange(0, BLOCK_K)[None, :], start + tl.arange(0, BLOCK_K)[:, None]
            left = tl.load(a + rows * K + across, mask=(rows < M) & (across < end), other=0.0)
            right = tl.load(b + down * N + columns, mask=(down < end) & (columns < N), other=0.0)
            total = tl.dot(left, right, total, input_precision="ieee")
        tl.store(partial + tl.program_id(2) * M * N + rows * N + columns, total, mask=(rows < M) & (columns < N))


def split_k(a, b, splits):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        partial = torch.empty(splits, m, n, dtype=torch.float32, device=a.device)
        length = triton.cdiv(triton.cdiv(k, 32), splits) * 32
        split_k_kernel[(triton.cdiv(m, 16), triton.cdiv(n, 64), splits)](a, b, partial, m, n, k, length, BLOCK_M=16, BLOCK_N=64, BLOCK_K=32)
        reduce_kernel[(triton.cdiv(m * n, 1024),)](partial, out, m * n, splits, BLOCK=1024)
    return out
