"""Walks along the row twice and adds x again, to a residual that has been overwritten: x counts double in the norm."""
import triton
import triton.language as tl

FAILS = {"test_both_are_written_in_place": "one token, x, which is to be the norm", "test_any_size": "1 tokens of 1, x, which|3 tokens of 4, x, which",
         "test_eps": "eps 0.01, x, which", "test_half_precision": "size 1.0, x, which"}


@triton.jit
def fused_add_rms_norm_kernel(x, residual, weight, n, eps, BLOCK: tl.constexpr):
    x += tl.program_id(0) * n
    residual += tl.program_id(0) * n
    squares = 0.0
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = columns < n
        total = tl.load(x + columns, mask=mask, other=0.0).to(tl.float32) + tl.load(residual + columns, mask=mask, other=0.0)
        squares += tl.sum(total * total, axis=0)
        tl.store(residual + columns, total.to(residual.dtype.element_ty), mask=mask)
    scale = tl.rsqrt(squares / n + eps)
    for start in range(0, n, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        mask = columns < n
        total = tl.load(x + columns, mask=mask).to(tl.float32) + tl.load(residual + columns, mask=mask)
        tl.store(x + columns, (total * scale * tl.load(weight + columns, mask=mask)).to(x.dtype.element_ty), mask=mask)


def fused_add_rms_norm(x, residual, weight, eps):
    if len(x):
        fused_add_rms_norm_kernel[(len(x),)](x, residual, weight, x.shape[1], eps, BLOCK=1024)
