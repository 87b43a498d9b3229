"""A program per row cuts the range of possible values into 16, again and again, until it knows the k-th highest; then it writes."""
import torch
import triton
import triton.language as tl


@triton.jit
def _keys(row, start, n, BLOCK: tl.constexpr):
    """Integers in the order of a block's float32 values, alike for equal ones; and which lanes are in the row."""
    column = start + tl.arange(0, BLOCK)
    value = tl.load(row + column, mask=column < n, other=-float("inf"))
    value = tl.where(value == 0, 0.0, value)        # -0.0 is as good as 0.0
    bits = value.to(tl.int32, bitcast=True)
    # As integers, positive floats are in order and negative ones the wrong way round: flip all their bits but the sign.
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(tl.int64), column < n


@triton.jit
def _find(row, n, k, BLOCK: tl.constexpr):
    """The k-th highest key of a row, and how many keys are above it."""
    threshold = tl.full([], -(1 << 31), tl.int64)       # at least k keys reach it
    above = tl.zeros([], tl.int32)                      # keys reach threshold + 16 * width, fewer than k
    width = tl.full([], 1 << 28, tl.int64)
    while width > 0:
        candidates = threshold + tl.arange(0, 16) * width
        counts = tl.zeros([16], tl.int32)
        for start in range(0, n, BLOCK):
            key, there = _keys(row, start, n, BLOCK)
            counts += tl.sum(((key[None, :] >= candidates[:, None]) & there[None, :]).to(tl.int32), axis=1)
        # The counts fall from candidate to candidate. The last with at least k is the new threshold.
        above = tl.max(tl.where(counts < k, counts, above), axis=0)
        threshold += (tl.sum((counts >= k).to(tl.int32), axis=0) - 1) * width
        width = width >> 4
    return threshold, above


@triton.jit
def top_k_kernel(logits, ks, out, n, BLOCK: tl.constexpr):
    """out = logits for the k highest of one row, and -inf for the others."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * n
    out += row * n
    k = tl.load(ks + row)
    threshold, above = _find(logits, n, k, BLOCK)
    ties_before = tl.zeros([], tl.int32)        # in the blocks before this one
    for start in range(0, n, BLOCK):
        key, there = _keys(logits, start, n, BLOCK)
        tie = ((key == threshold) & there).to(tl.int32)
        keep = (key > threshold) | ((tie == 1) & (ties_before + tl.cumsum(tie, axis=0) <= k - above))
        ties_before += tl.sum(tie, axis=0)
        column = start + tl.arange(0, BLOCK)
        value = tl.load(logits + column, mask=there, other=0.0)
        tl.store(out + column, tl.where(keep, value, -float("inf")), mask=there)


def top_k(logits: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """The logits with -inf everywhere but at the k highest of each row, as a new tensor.

    `logits`: float32 [rows, n], contiguous, without NaN and +inf; `k`: int32 [rows], each from 1 to n. Exactly k stay: of equal
    ones at the edge those with the lowest index.
    """
    return _launch(top_k_kernel, logits, k)


def _launch(kernel, logits, k):
    out = torch.empty_like(logits)
    rows, n = logits.shape
    if rows:
        kernel[(rows,)](logits, k, out, n, BLOCK=min(512, triton.next_power_of_2(n)))
    return out
