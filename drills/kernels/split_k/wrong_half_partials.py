"""Keeps the partial sums in the dtype of the result: what is beyond 65504 is infinite, and infinity minus infinity is not a number."""
import torch
import triton

from drills.kernels.split_k.solution import reduce_kernel, split_k_kernel

FAILS = {"test_partial_sums_are_float32": "nan, should be 3"}


def split_k(a, b, splits):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        partial = torch.empty(splits, m, n, dtype=a.dtype, device=a.device)
        length = triton.cdiv(triton.cdiv(k, 32), splits) * 32
        split_k_kernel[(triton.cdiv(m, 16), triton.cdiv(n, 64), splits)](a, b, partial, m, n, k, length, BLOCK_M=16, BLOCK_N=64, BLOCK_K=32)
        reduce_kernel[(triton.cdiv(m * n, 1024),)](partial, out, m * n, splits, BLOCK=1024)
    return out
