"""Launches as many columns of tiles as there are rows of tiles: right for a square result."""
import torch
import triton

from drills.kernels.tiled_matmul.solution import tiled_matmul_kernel

FAILS = {"test_whole_tiles": r"\[64, 128\] @ \[128, 128\]: 4096 of 8192 numbers are wrong", "test_any_m_n_k": r"\[1, 33\] @ \[33, 100\]: .* nan, should be"}


def tiled_matmul(a, b):
    (m, k), n = a.shape, b.shape[1]
    out = torch.empty(m, n, dtype=a.dtype, device=a.device)
    if out.numel():
        tiles = triton.cdiv(m, 64)
        tiled_matmul_kernel[(tiles, tiles)](a, b, out, m, n, k, BLOCK_M=64, BLOCK_N=64, BLOCK_K=32)
    return out
