"""Takes K // BLOCK_K steps: the last products of every sum are missing."""
import torch
import triton

from drills.kernels.tiled_matmul.solution import tiled_matmul_kernel

FAILS = {"test_one_number": "3 times -2", "test_any_m_n_k": r"\[2, 4\] @ \[4, 3\]", "test_half_precision": "float16 integers"}


def tiled_matmul(a, b):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        whole = k // 32 * 32
        left, right = a[:, :whole].contiguous(), b[:whole].contiguous()
        tiled_matmul_kernel[(triton.cdiv(m, 64), triton.cdiv(n, 64))](left, right, out, m, n, whole, BLOCK_M=64, BLOCK_N=64, BLOCK_K=32)
    return out
