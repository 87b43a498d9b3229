"""Adds eps to the root and not under it: a small token comes out far too large."""
import torch
import triton
import triton.language as tl

FAILS = {"test_eps_is_added_to_the_mean_of_the_squares": "eps 1e-06"}


@triton.jit
def rms_norm_kernel(x, weight, out, n, eps, BLOCK: tl.constexpr):
    columns = tl.arange(0, BLOCK)
    at, mask = tl.program_id(0) * n + columns, columns < n
    values = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    scale = 1 / (tl.sqrt(tl.sum(values * values, axis=0) / n) + eps)
    tl.store(out + at, (values * scale * tl.load(weight + columns, mask=mask)).to(out.dtype.element_ty), mask=mask)


def rms_norm(x, weight, eps):
    out = torch.empty_like(x)
    if len(x):
        rms_norm_kernel[(len(x),)](x, weight, out, x.shape[1], eps, BLOCK=triton.next_power_of_2(x.shape[1]))
    return out
