"""A stretch of K that is no multiple of the block, and masks that compare with K: the end of a stretch is added by the next split too."""
import torch
import triton
import triton.language as tl

from drills.kernels.split_k.solution import reduce_kernel

FAILS = {"test_k_that_does_not_divide": r"\[2, 129\] @ \[129, 3\] in 2 splits", "test_more_splits_than_there_is_to_do": "in 8 splits",
         "test_half_precision": "in 3 splits", "test_the_same_bits_each_time": "in 8 splits"}


@triton.jit
def split_k_kernel(a, b, partial, M, N, K, length, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr):
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    begin = tl.program_id(2) * length
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(begin, begin + length, BLOCK_K):
        across, down = start + tl.arange(0, BLOCK_K)[None, :], start + tl.arange(0, BLOCK_K)[:, None]
        left = tl.load(a + rows * K + across, mask=(rows < M) & (across < K), other=0.0)
        right = tl.load(b + down * N + columns, mask=(down < K) & (columns < N), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(partial + tl.program_id(2) * M * N + rows * N + columns, total, mask=(rows < M) & (columns < N))


def split_k(a, b, splits):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        partial = torch.empty(splits, m, n, dtype=torch.float32, device=a.device)
        split_k_kernel[(triton.cdiv(m, 16), triton.cdiv(n, 64), splits)](a, b, partial, m, n, k, triton.cdiv(k, splits), BLOCK_M=16, BLOCK_N=64, BLOCK_K=32)
        reduce_kernel[(triton.cdiv(m * n, 1024),)](partial, out, m * n, splits, BLOCK=1024)
    return out
