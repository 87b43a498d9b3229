"""Argmax over a vocabulary: your answer. The problem is in drills/kernels/vocabulary_argmax/README.md."""
import torch
import triton
import triton.language as tl


@triton.jit
def block_argmax_kernel(logits, temperatures, noise, values, ids, vocab_size, BLOCK: tl.constexpr):
    """The best value of one block of one row, and its token."""


@triton.jit
def row_argmax_kernel(values, ids, out, blocks, BLOCKS: tl.constexpr):
    """The best token of one row. BLOCKS: the power of two that `blocks` fits in."""


def vocabulary_argmax(logits: torch.Tensor, temperatures: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The token with the highest `logits / temperature + noise` of each row, of several the lowest: int64 [rows].

    `logits`: [rows, vocab_size], float32 or float16; `temperatures`: float32 [rows]; `noise`: float32 [rows, vocab_size]. All contiguous,
    without NaN. Where the temperature is 0, that with the highest logit: the noise of such a row is not looked at.
    """
    raise NotImplementedError("vocabulary_argmax: vocabulary_argmax is not written yet")
