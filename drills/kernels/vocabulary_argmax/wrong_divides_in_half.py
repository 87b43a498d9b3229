"""Divides in the dtype of the logits: in float16, 60000 / 0.5 is infinite, and so are all that are close."""
import triton
import triton.language as tl

from drills.kernels.vocabulary_argmax.solution import _launch, row_argmax_kernel

FAILS = {"test_half_precision": r"got \[700, 700\]"}


@triton.jit
def block_argmax_kernel(logits, temperatures, noise, values, ids, vocab_size, BLOCK: tl.constexpr):
    row, block = tl.program_id(0), tl.program_id(1)
    token = block * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(logits + row * vocab_size + token, mask=token < vocab_size, other=-float("inf"))
    temperature = tl.load(temperatures + row)
    if temperature > 0:
        value = (value / temperature).to(value.dtype)
        value = (value + tl.load(noise + row * vocab_size + token, mask=token < vocab_size, other=0.0)).to(value.dtype)
    best, index = tl.max(value.to(tl.float32), axis=0, return_indices=True)
    tl.store(values + row * tl.num_programs(1) + block, best)
    tl.store(ids + row * tl.num_programs(1) + block, block * BLOCK + index)


def vocabulary_argmax(logits, temperatures, noise):
    return _launch(block_argmax_kernel, row_argmax_kernel, logits, temperatures, noise)
